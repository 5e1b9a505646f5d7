import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { createTestBroadcaster } from '@broadcaster/testing/client'
import { watchNews } from './public/news.js'

let broadcaster
let page

beforeEach(() => {
  broadcaster = createTestBroadcaster()
  page = { news: [] }
  watchNews(broadcaster.client, {
    showStatus: (status) => (page.status = status),
    showNews: (news) => (page.news = news),
  })
})

afterEach(() => broadcaster.close())

test('shows what is published', async () => {
  await broadcaster.publish('news', 'one')
  await broadcaster.publish('weather', 'rain')
  await broadcaster.publish('news', 'two')
  assert.deepEqual(page, { status: 'subscribed', news: ['one', 'two'] })
})

test('shows what it missed while the network was down', async () => {
  await broadcaster.publish('news', 'one')
  await broadcaster.drop()
  await broadcaster.publish('news', 'two')
  assert.deepEqual(page.news, ['one'])
  await broadcaster.restore()
  assert.deepEqual(page, { status: 'subscribed', news: ['one', 'two'] })
})

test('starts again after a gap', async () => {
  await broadcaster.publish('news', 'one')
  await broadcaster.gap('news')
  assert.deepEqual(page.news, [])
})

test('says that the channel is refused', async () => {
  await broadcaster.refuse('news')
  await broadcaster.settled()
  assert.equal(page.status, 'refused')
})
