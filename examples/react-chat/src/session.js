import { UnauthorizedError } from 'gatecast'

async function post(path, body = {}) {
  const response = await fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })
  const answer = await response.json().catch(() => ({}))
  if (response.ok) return answer
  throw new (response.status === 401 ? UnauthorizedError : Error)(answer.detail ?? `The server answered ${response.status}.`)
}

/** Logs in, and signs up first who is new. The session is kept in a cookie that no script can read. */
export async function enter({ isNew, ...who }) {
  if (isNew) await post('/register', who)
  await post('/login', { ...who, use_cookie: true })
  localStorage.hasSession = true // which cannot be seen otherwise
}

export const hasSession = () => 'hasSession' in localStorage
export const getToken = async () => (await post('/refresh')).access_token

export function logOut() {
  delete localStorage.hasSession
  return post('/logout')
}
