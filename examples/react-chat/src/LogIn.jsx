import { useState } from 'react'
import { enter } from './session.js'

export function LogIn({ onDone }) {
  const [error, setError] = useState('')

  function submit(event) {
    event.preventDefault()
    enter(Object.fromEntries(new FormData(event.target))).then(onDone, ({ message }) => setError(message))
  }

  return (
    <form onSubmit={submit}>
      <label>Username <input name="username" autoComplete="username" required autoFocus /></label>
      <label>Password <input name="password" type="password" autoComplete="current-password" required /></label>
      <label><input name="isNew" type="checkbox" /> I am new here</label>
      <button>Come in</button>
      <p role="alert">{error}</p>
    </form>
  )
}
