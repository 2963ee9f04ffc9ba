// What the browser remembers from one visit to the next: choices, never a token.
// A browser may forbid that; then all is forgotten with the page.

/** What was remembered, or null. */
export function recall(key) {
  try {
    return localStorage.getItem(key)
  } catch {
    return null
  }
}

/** Remembers a text, or with null forgets the one that was there. */
export function remember(key, value) {
  try {
    if (value === null) localStorage.removeItem(key)
    else localStorage.setItem(key, value)
  } catch {
    // forgotten
  }
}

/** What was remembered with rememberAll, or `otherwise`, which is a list or an object as that was. */
export function recallAll(key, otherwise) {
  try {
    const value = JSON.parse(recall(key))
    return Object(value) === value && Array.isArray(value) === Array.isArray(otherwise) ? value : otherwise
  } catch {
    return otherwise // somebody else wrote there
  }
}

/** Remembers anything that JSON can say. */
export function rememberAll(key, value) {
  remember(key, JSON.stringify(value))
}
