// What TypeScript says to those who use the package: pack.test.js checks it.
// Lines under @ts-expect-error must be refused.

import { BusyError, type Channel, type Client, Conversation, createClient, type Gap, type GatecastError, isGatecastError, type Message, type Options, RefusedError, type StatusChange, UnauthorizedError } from 'gatecast'

interface Price { bid: number, ask: number }
interface Events { price: Price, chat: string, chart: Uint8Array }

declare function is<T>(value: T): void
declare const socket: new (address: string | URL, protocols?: string | string[], options?: { headers?: Record<string, string> }) => object

// Options.
const options: Options = { url: 'ws://localhost/ws', login: { username: 'alice', password: 'secret' }, WebSocket: socket, logger: console, queue: { count: 10 } }
const client: Client = createClient(options)
createClient({ url: 'ws://localhost/ws', getToken: async () => 'token' })
createClient({ url: 'ws://localhost/ws', getToken: () => { throw new UnauthorizedError('log in') } })
// @ts-expect-error the url is needed
createClient({ getToken: () => 'token' })
// @ts-expect-error a token is a text
createClient({ url: 'ws://localhost/ws', getToken: async () => 42 })

// What the client tells.
client.on('status', (change) => {
  is<StatusChange>(change)
  is<number | undefined>(change.retryInMs)
  // @ts-expect-error there is no such status
  if (change.current === 'closed') return
})
client.on('lost-connection', (what) => is<'lost' | 'restored' | 'failed'>(what))
client.on('welcome', ({ userId, limits }) => is<[string, number]>([userId, limits.messages.rate]))
client.on('user_joined', (frame) => {
  is<string>(frame.type)
  // @ts-expect-error a type is a text
  is<number>(frame.type)
})
client.on('dice', (frame) => is<number>(frame.sides)) // programs on the server may have frames of their own
is<() => void>(client.on('pong', () => {}))
is<Promise<{ username: string }>>(client.connect())
// @ts-expect-error nobody but the client tells
client.emit('status', {})

// Messages that are typed by event.
const prices = client.channel<Events>('prices:btc')
prices.on('message', (message) => {
  if (message.event === 'price') is<number>(message.data.bid)
  if (message.event === 'chat') is<string>(message.data)
  if (message.event === 'chart') is<Uint8Array>(message.data)
  // @ts-expect-error it may be any of them
  is<Price>(message.data)
  // @ts-expect-error there is no such event
  if (message.event === 'prise') return
  is<string | undefined>(message.error?.code)
})
prices.on('message', ({ event, data, isRemoved }) => {
  switch (event) {
    case 'price': return is<Price>(data)
    case 'chat': return is<string>(data)
    case 'chart': return is<Uint8Array>(data)
    default: return is<[true, null]>([isRemoved, data]) // its sender's account is gone
  }
})
prices.on('gap', (gap) => is<Gap>(gap))
prices.on('presence', ({ count, users }) => is<[number, readonly { username: string }[]]>([count, users]))
prices.on('typing', (users) => is<readonly { userId: string }[]>(users))
prices.on('status', ({ error }) => is<GatecastError | undefined>(error))
// @ts-expect-error there is no such event
prices.on('mesage', () => {})

is<Promise<{ id: string, seq?: number }>>(prices.publish({ bid: 1, ask: 2 }, { event: 'price' }))
prices.publish({ bid: 1, ask: 2 }, { event: 'price', volatile: true, id: 'a' })
prices.publish(new ArrayBuffer(8), { event: 'chart' })
prices.publish(new Float32Array(8), { event: 'chart' })
prices.send('hello')
// @ts-expect-error a bid is a number
prices.publish({ bid: '1', ask: 2 }, { event: 'price' })
// @ts-expect-error there is no such event
prices.publish({ bid: 1, ask: 2 }, { event: 'prise' })
// @ts-expect-error that is another event's data
prices.publish('hello', { event: 'price' })
// @ts-expect-error there is no event 'message' in the map
prices.publish({ bid: 1, ask: 2 })
// @ts-expect-error numbers are not sent as chat
prices.send(42)

prices.history({ limit: 10 }).then(({ messages, more }) => is<[Message<Events>[], boolean]>([messages, more]))
is<readonly Message<Events>[]>(prices.outgoing)
prices.subscribe({ last: 10 }).then(({ recovered }) => is<boolean | undefined>(recovered))
// @ts-expect-error what the client calls is not for others
prices.take({})
// @ts-expect-error nor is this
prices.presence.begin({ count: 0, users: [] })
// @ts-expect-error nor this
prices.typing.setOwn('me')

// A map that names 'message', and none.
const counts = client.channel<{ message: number }>('room:1')
counts.publish(1)
counts.publish(1, { volatile: true })
// @ts-expect-error it is a number
counts.publish('1')
counts.on('message', (message) => {
  // @ts-expect-error it may be one that was removed
  is<number>(message.data)
  if (!message.isRemoved) is<number>(message.data)
})
const any: Channel = client.channel('room:2')
any.publish({ what: 'ever' })
any.publish(['what', 'ever'], { event: 'it' })
is<Channel>(prices) // a typed one will do where any would
any.on('message', ({ event, data }) => is<[string, number]>([event, data.of.any.kind]))

const talk = new Conversation(prices, { last: 10 })
for (const message of talk.messages) {
  if (message.event === 'price') is<[number, boolean | undefined]>([message.data.ask, message.gapBefore])
}

// Errors, told apart by their code.
function handle(error: GatecastError) {
  switch (error.code) {
    case 'rate_limited':
    case 'busy':
      return is<number>(error.retryAfterMs)
    case 'unauthorized':
      return is<UnauthorizedError>(error)
    case 'forbidden':
      // @ts-expect-error it will not help to wait
      is<number>(error.retryAfterMs)
      return is<RefusedError>(error)
    // @ts-expect-error there is no such code
    case 'forbiden':
      return
  }
}
try {
  await prices.send('hello')
} catch (error) {
  if (isGatecastError(error)) handle(error)
  if (error instanceof BusyError) is<'busy'>(error.code)
}
