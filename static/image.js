// Making an image small enough for a message.

const MOST = 20 // MB that an image may have before it is made smaller
const MB = 1_000_000
const HEADER = 1024 // bytes of a message that are not the image: more than enough
const SIDE = 1600 // pixels of the longer side at most
/** What is tried, one after the other: sides as parts of the first, with the qualities of each. */
const SIZES = [1, 0.75, 0.5, 0.35, 0.25, 0.15]
const QUALITIES = [0.85, 0.7, 0.5]

/** Why an image is not sent, in a code that words are for. */
class ImageError extends Error {
  constructor(code, fill) {
    super(code)
    this.code = `image_${code}`
    this.fill = fill
  }
}

/**
 * The image of a file, as WebP or JPEG, so small that it fits into a message.
 *
 * @param {File} file
 * @param {number} messageBytes what a message may have
 * @returns {Promise<Uint8Array>} or rejects with an ImageError
 */
export async function shrink(file, messageBytes) {
  const name = file.name
  if (!file.type.startsWith('image/')) throw new ImageError('notAnImage', { name })
  if (file.size > MOST * MB) throw new ImageError('tooLarge', { name, size: Math.ceil(file.size / MB), most: MOST })
  const image = await createImageBitmap(file).catch(() => {
    throw new ImageError('unreadable', { name })
  })
  try {
    const full = Math.min(1, SIDE / Math.max(image.width, image.height))
    for (const size of SIZES) {
      const canvas = draw(image, full * size)
      for (const quality of QUALITIES) {
        const bytes = await encode(canvas, quality)
        if (bytes.length <= messageBytes - HEADER) return bytes
      }
    }
  } finally {
    image.close()
  }
  throw new ImageError('noRoom', { name })
}

function draw(image, scale) {
  const canvas = document.createElement('canvas')
  canvas.width = Math.max(1, Math.round(image.width * scale))
  canvas.height = Math.max(1, Math.round(image.height * scale))
  canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height)
  return canvas
}

/** As WebP, or as JPEG where the browser cannot write that. */
async function encode(canvas, quality) {
  const webp = await blobOf(canvas, 'image/webp', quality)
  const blob = webp.type === 'image/webp' ? webp : await blobOf(canvas, 'image/jpeg', quality)
  return new Uint8Array(await blob.arrayBuffer())
}

const blobOf = (canvas, type, quality) => new Promise((resolve) => canvas.toBlob(resolve, type, quality))
