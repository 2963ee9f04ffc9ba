// The same for the hooks.

import { createClient } from 'gatecast'
import { GatecastProvider, useChannel, useLostConnection, usePresence, useStatus, useTyping } from 'gatecast/react'

declare function is<T>(value: T): void

const client = createClient({ url: 'ws://localhost/ws', getToken: () => 'token' })

export function App() {
  return <GatecastProvider client={client}><Chat /></GatecastProvider>
}

function Chat() {
  const { messages, send, publish } = useChannel<{ chat: string, move: { x: number } }>('room:42', { last: 10 })
  is<'initial' | 'connecting' | 'connected' | 'reconnecting' | 'disconnected' | 'failed'>(useStatus())
  is<'lost' | 'restored' | 'failed' | undefined>(useLostConnection())
  is<number>(usePresence('room:42').count)
  useTyping('room:42').keystroke()
  send('hello')
  publish({ x: 1 }, { event: 'move' })
  // @ts-expect-error x is a number
  publish({ x: '1' }, { event: 'move' })
  // @ts-expect-error there is no such hook option
  useChannel('room:42', { first: 10 })
  return messages.map((message) => message.event === 'chat' && <p key={message.id}>{message.data.trim()}</p>)
}
