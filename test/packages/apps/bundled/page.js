import { createRoot } from 'react-dom/client'
import { element, isOne } from './entry.js'

document.title = String(isOne)
createRoot(document.getElementById('root')).render(element)
