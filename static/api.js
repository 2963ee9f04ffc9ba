// Calling the API.

/** How long an answer may take, in ms. */
const PATIENCE = 15_000

/** An answer of the API that is no success, or that did not come: then its status is 0. */
class ApiError extends Error {
  constructor(status, { code = 'unreadable', detail }, retryAfterMs) {
    super(detail)
    this.status = status
    this.code = code
    this.retryAfterMs = retryAfterMs
  }
}

/**
 * Asks and answers what comes back, which may be nothing.
 *
 * @param {string} method
 * @param {string} path
 * @param {{body?: any, token?: string}} [what]
 */
export async function call(method, path, { body, token } = {}) {
  const response = await fetch(path, {
    method,
    headers: { ...(body && { 'Content-Type': 'application/json' }), ...(token && { Authorization: `Bearer ${token}` }) },
    body: body && JSON.stringify(body),
    credentials: 'same-origin',
    keepalive: true, // an answer's cookie is wanted even if the page is left meanwhile
    signal: AbortSignal.timeout(PATIENCE),
  }).catch((error) => {
    throw new ApiError(0, { code: 'unreachable', detail: error.message })
  })
  const answer = await response.json().catch(() => ({})) // a proxy may answer for the server
  if (!response.ok) throw new ApiError(response.status, answer, Number(response.headers.get('Retry-After')) * 1000 || undefined)
  return answer
}
