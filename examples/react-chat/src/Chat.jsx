import { useState } from 'react'
import { useChannel, useStatus } from 'gatecast/react'

// Programs may publish anything, and React draws no objects.
const isText = ({ event, data }) => event === 'chat' && typeof data === 'string'
const names = (users) => users.map(({ username }) => username).join(', ')

export function Chat({ onLeave }) {
  const status = useStatus()
  const { messages, hasOlder, loadOlder, send, resend, presence, typing } = useChannel('lobby')
  const [text, setText] = useState('')

  function submit(event) {
    event.preventDefault()
    if (text.trim()) send(text)
    setText('')
    typing.stop()
  }

  return (
    <>
      <button onClick={onLeave}>Log out</button>
      <p>Connection: <output>{status}</output>. Online: {names(presence.users)}.</p>
      {hasOlder && <button onClick={loadOlder}>Older messages</button>}
      <ol role="log">
        {messages.filter(isText).map((message) => (
          <Message key={message.id} message={message} onResend={() => resend(message.id)} />
        ))}
      </ol>
      <p role="status">{typing.users.length > 0 && `${names(typing.users)} typing…`}</p>
      <form onSubmit={submit}>
        <label>Message <input value={text} onChange={(event) => setText(event.target.value)} onInput={typing.keystroke} autoFocus /></label>
        <button>Send</button>
      </form>
    </>
  )
}

function Message({ message: { username, data, state, gapBefore, error }, onResend }) {
  return (
    <li className={state}>
      {gapBefore && <em>Some messages may be missing here.</em>}
      <b>{username || 'Deleted account'}</b> <span>{data}</span> {state === 'pending' && '…'}
      {state === 'failed' && <button onClick={onResend}>Not sent: {error.message}. Send again</button>}
    </li>
  )
}
