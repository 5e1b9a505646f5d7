import { BroadcasterClient } from '@broadcaster/client'
import { watchNews } from './news.js'

const form = document.querySelector('form')
form.addEventListener('submit', async (event) => {
  event.preventDefault()
  const body = form.elements.text.value
  form.reset()
  await fetch('/news', { method: 'POST', body })
})

watchNews(new BroadcasterClient('/broadcast'), {
  showStatus(status) {
    document.querySelector('[role=status]').textContent = status
  },
  showNews(headlines) {
    const items = headlines.map((headline) => {
      const item = document.createElement('li')
      item.textContent = headline
      return item
    })
    document.querySelector('ul').replaceChildren(...items)
  },
})
