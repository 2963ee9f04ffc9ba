// Binary frames: 4 bytes with the length of the header (big-endian), the header
// in JSON, the payload. docs/protocol.md, "Binary data".

const LENGTH_BYTES = 4

/**
 * @typedef {ArrayBuffer | ArrayBufferView} Binary
 */

/**
 * Whether data is bytes: an ArrayBuffer, or any view on one.
 *
 * @param {unknown} data
 * @returns {data is Binary}
 */
export function isBinary(data) {
  // By name, since instanceof does not know the buffers of another window or of a test's own globals.
  return ArrayBuffer.isView(data) || Object.prototype.toString.call(data) === '[object ArrayBuffer]'
}

/**
 * The bytes of data, where they are: no copy, so they change with it.
 *
 * @param {Binary} data
 * @returns {Uint8Array}
 */
export function toBytes(data) {
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data)
}

/**
 * A frame of its own: it does not change with the payload.
 *
 * @param {object} header
 * @param {Uint8Array} payload
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encodeBinary(header, payload) {
  const json = new TextEncoder().encode(JSON.stringify(header))
  const frame = new Uint8Array(LENGTH_BYTES + json.length + payload.length)
  new DataView(frame.buffer).setUint32(0, json.length)
  frame.set(json, LENGTH_BYTES)
  frame.set(payload, LENGTH_BYTES + json.length)
  return frame
}

/**
 * Takes a frame apart, or answers undefined where it is none. The payload is a
 * copy whose buffer holds nothing else, so that any typed array can be laid on it.
 *
 * @param {Binary} data
 * @returns {{header: {[field: string]: any}, payload: Uint8Array<ArrayBuffer>} | undefined}
 */
export function decodeBinary(data) {
  const frame = toBytes(data)
  if (frame.length < LENGTH_BYTES) return undefined
  const end = LENGTH_BYTES + new DataView(frame.buffer, frame.byteOffset).getUint32(0)
  if (end > frame.length) return undefined
  const header = parseObject(frame.subarray(LENGTH_BYTES, end))
  return header && { header, payload: new Uint8Array(frame.subarray(end)) }
}

/**
 * @param {Uint8Array} bytes
 * @returns {{[field: string]: any} | undefined} undefined where they are no JSON object in UTF-8
 */
function parseObject(bytes) {
  try {
    const value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

/**
 * The bytes that a text in base64 (RFC 4648, section 4) stands for. It throws
 * where the text is none.
 *
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function fromBase64(text) {
  const builtIn = /** @type {{fromBase64?: (text: string) => Uint8Array<ArrayBuffer>}} */ (/** @type {unknown} */ (Uint8Array))
  if (builtIn.fromBase64) return builtIn.fromBase64(text)
  const chars = atob(text)
  const bytes = new Uint8Array(chars.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = chars.charCodeAt(i)
  return bytes
}
