import { renderToString } from 'react-dom/server'
import { element, isOne } from './entry.js'

console.log(isOne, renderToString(element))
