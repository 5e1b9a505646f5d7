import { describe, expect, it } from 'vitest'
import { withoutWaiting } from './fakeTime.ts'
import { message, pollOf, subscribeNews } from './pollingClient.ts'
import { collect, connectLongPoll } from './scriptedServer.ts'

describe('answers that overtake each other', () => {
  it('R1 messages that arrive before the answer to subscribe are newer than its position', async () => {
    const { server, client } = await connectLongPoll()
    const news = collect()
    client.subscribe('news', news)
    const request = await server.request('subscribe')
    ;(await pollOf(server, '0')).answer(message('a', 'p1'))
    const poll = await pollOf(server, '1')
    // Received, but not confirmed yet. Without its position the message would come again, at once and endlessly.
    expect(poll.message['positions']).toEqual({ news: 'p1' })
    request.answer({ __type: 'subscribeOk', channel: 'news', position: 'p0' })
    expect(await news.next()).toBe('a')
    poll.answer(message('b', 'p2'))
    expect(await news.next()).toBe('b')
    expect((await pollOf(server, '2')).message['positions']).toEqual({ news: 'p2' })
  })

  it('R1 the position does not go back to the one in a late answer', async () => {
    const { server, client } = await connectLongPoll()
    const news = collect()
    const { ready } = client.subscribe('news', news)
    const request = await server.request('subscribe')
    ;(await pollOf(server, '0')).answer(message('a', 'p1'))
    const poll = await pollOf(server, '1')
    request.answer({ __type: 'subscribeOk', channel: 'news', position: 'p0' })
    await ready
    poll.answer(message('x', 'q1', 'other'))
    expect((await pollOf(server, '2')).message['positions']).toEqual({ news: 'p1' })
  })

  it('L8 messages of a resumed channel are ignored until a poll has sent its position', async () => {
    withoutWaiting()
    const { server, news } = await subscribeNews()
    ;(await pollOf(server, '1')).refuse(401, { __type: 'authError', reason: 'Auth expected' })
    await server.acceptSession('two')
    const lost = await server.request('subscribe')
    lost.drop()
    // The server had subscribed at another time before, and answers the poll with the messages since that time.
    ;(await pollOf(server, '0')).answer(message('d', 'p4'))
    await server.confirm('news', {
      position: 'p3',
      recovered: true,
      messages: [
        ['b', 'p2'],
        ['c', 'p3'],
      ],
    })
    // This poll was sent between the two subscriptions.
    ;(await pollOf(server, '1')).answer(message('e', 'p5'))
    const poll = await pollOf(server, '2')
    expect(poll.message['positions']).toEqual({ news: 'p3' })
    poll.answer(message('d', 'p4'), message('e', 'p5'))
    expect(await news.take(4)).toEqual(['b', 'c', 'd', 'e'])
    expect((await pollOf(server, '3')).message['positions']).toEqual({ news: 'p5' })
    expect(news.pending).toEqual([])
  })

  it('U2 messages that were in flight when the channel was unsubscribed are ignored', async () => {
    const { server, client, news } = await subscribeNews()
    const poll = await pollOf(server, '1')
    const unsubscribed = client.unsubscribe('news')
    ;(await server.request('unsubscribe')).answer({ __type: 'unsubscribeOk', channel: 'news' })
    await unsubscribed
    poll.answer(message('late', 'p2'))
    expect((await pollOf(server, '2')).message['positions']).toEqual({})
    expect(news.pending).toEqual([])
  })

  it('U2 a gap that was in flight when the channel was unsubscribed does not give the next subscription a position', async () => {
    const { server, client } = await subscribeNews()
    const poll = await pollOf(server, '1')
    const unsubscribed = client.unsubscribe('news')
    const request = await server.request('unsubscribe')
    poll.answer({ __type: 'gap', channel: 'news', position: 'p2', reason: 'overflow' })
    await pollOf(server, '2')
    client.subscribe('news', () => {})
    request.answer({ __type: 'unsubscribeOk', channel: 'news' })
    await unsubscribed
    expect(await server.confirm('news', { position: 'p3' })).not.toHaveProperty('position')
  })

  it.each([
    message('of nobody', 'p1', 'old'),
    { __type: 'gap', channel: 'old', position: 'p1', reason: 'overflow' },
  ])(
    'U2 a channel that the server has and the client does not want is unsubscribed: %j',
    async (unwanted) => {
      const { server } = await subscribeNews()
      ;(await pollOf(server, '1')).answer(unwanted)
      const request = await server.request('unsubscribe')
      expect(request.message['channel']).toBe('old')
      request.answer({ __type: 'unsubscribeOk', channel: 'old' })
      expect((await pollOf(server, '2')).message['positions']).toEqual({ news: 'p1' })
    },
  )

  it('an unsubscribe that is executed late, after a new subscription, loses no messages', async () => {
    withoutWaiting()
    const { server, client } = await subscribeNews()
    const unsubscribed = client.unsubscribe('news')
    ;(await server.request('unsubscribe')).drop()
    await expect(unsubscribed).rejects.toMatchObject({ code: 'serverError' })
    ;(await server.request('unsubscribe')).answer({ __type: 'unsubscribeOk', channel: 'news' })
    const news = collect()
    client.subscribe('news', news)
    await server.confirm('news', { position: 'p1' })
    ;(await pollOf(server, '1')).answer()
    const taken = { __type: 'unsubscribed', channel: 'news', reason: 'Unsubscribed by the server' } as const
    ;(await pollOf(server, '2')).answer(taken)
    const again = await server.request('subscribe')
    expect(again.message).toMatchObject({ channel: 'news', position: 'p1' })
    again.answer({
      __type: 'subscribeOk',
      channel: 'news',
      position: 'p2',
      recovered: true,
      messages: [['b', 'p2']],
    })
    expect(await news.take(1)).toEqual(['b'])
  })

  it('a request that fails is sent again', async () => {
    withoutWaiting()
    const { server, client } = await connectLongPoll()
    const subscription = client.subscribe('news', () => {})
    ;(await server.request('subscribe')).drop()
    ;(await server.request('subscribe')).refuse(503, { __type: 'serverError', reason: 'Broker unavailable' })
    const request = await server.request('subscribe')
    expect(subscription.error).toMatchObject({
      code: 'serverError',
      message: 'HTTP 503 Broker unavailable',
    })
    request.answer({ __type: 'subscribeOk', channel: 'news' })
    await subscription.ready
  })
})
