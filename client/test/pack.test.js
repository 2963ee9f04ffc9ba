// The package, as those have it who install it.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { startServer } from './server.js'

const CLIENT = fileURLToPath(new URL('..', import.meta.url))
const README = await readFile(join(CLIENT, 'README.md'), 'utf8')
const run = promisify(execFile)

/** A project that has the package, and nothing else that is of ours. */
let project

before(async () => {
  project = await mkdtemp(join(tmpdir(), 'gatecast-'))
  const modules = join(project, 'node_modules')
  await mkdir(join(modules, 'gatecast'), { recursive: true })
  await run('npm', ['pack', '--silent', `--pack-destination=${project}`], { cwd: CLIENT })
  const [tarball] = (await readdir(project)).filter((name) => name.endsWith('.tgz'))
  await run('tar', ['-xzf', join(project, tarball), '--strip-components=1', '-C', join(modules, 'gatecast')])
  for (const name of ['ws', 'react', 'csstype', '@types']) await symlink(join(CLIENT, 'node_modules', name), join(modules, name))
  await writeFile(join(project, 'package.json'), '{"type":"module"}')
})
after(() => rm(project, { recursive: true }))

const sources = async (dir) => (await readdir(dir)).filter((name) => name.endsWith('.js'))

test('the tarball has the files that are needed, and their declarations', async () => {
  const root = join(project, 'node_modules', 'gatecast')
  const files = (await readdir(root, { recursive: true })).filter((name) => name !== 'types').sort()
  const scripts = await sources(CLIENT)
  const declarations = scripts.map((name) => join('types', name.replace(/\.js$/, '.d.ts')))
  assert.deepEqual(files, ['README.md', 'package.json', ...scripts, ...declarations].sort())

  const { exports, types, dependencies, sideEffects } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  assert.equal(dependencies, undefined)
  assert.equal(sideEffects, false)
  assert.equal(types, exports['.'].types)
  for (const target of Object.values(exports)) {
    if (typeof target === 'object') assert.equal(Object.keys(target)[0], 'types', 'TypeScript takes the first that fits')
    for (const path of Object.values(typeof target === 'object' ? target : { target })) assert.ok(files.includes(path.slice(2)), path)
  }
})

test('what is internal is in no declaration', async () => {
  for (const name of await readdir(join(project, 'node_modules/gatecast/types'))) {
    const text = await readFile(join(project, 'node_modules/gatecast/types', name), 'utf8')
    assert.ok(!text.includes('@internal'), name)
  }
})

test('it needs nothing but the language and what browsers have', async () => {
  for (const name of await sources(CLIENT)) {
    const text = (await readFile(join(CLIENT, name), 'utf8')).replace(/\/\*[^]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '')
    const imports = [...text.matchAll(/\b(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)].map(([, from]) => from)
    const outside = imports.filter((from) => !from.startsWith('./'))
    assert.deepEqual(outside, name === 'react.js' ? ['react'] : [], name)
    assert.doesNotMatch(text, /\b(process|Buffer|require|global|__dirname|setImmediate|window)\b/, name)
    assert.doesNotMatch(text, /\bconsole\b/, name)
  }
})

/** Has TypeScript look at files of the project as a stranger's would, declarations and all. */
async function check(files, options) {
  const compilerOptions = { strict: true, noEmit: true, target: 'es2022', lib: ['es2022', 'dom'], types: [], jsx: 'react-jsx', moduleDetection: 'force', ...options }
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
  await run(join(CLIENT, 'node_modules/.bin/tsc'), ['-p', '.'], { cwd: project }).catch(({ stdout }) => assert.fail(stdout))
}

const NODENEXT = { module: 'nodenext' }
const BUNDLER = { module: 'esnext', moduleResolution: 'bundler' }

test('types tell what is right and what is not', async () => {
  const files = ['consumer.ts', 'consumer-hooks.tsx']
  for (const name of files) await copyFile(join(CLIENT, 'test', name), join(project, name))
  await check(files, NODENEXT)
  await check(files, BUNDLER)
  await writeFile(join(project, 'bare.ts'), "export * from 'gatecast'")
  await check(['bare.ts'], { ...NODENEXT, lib: ['es2022'] }) // where there are no types of a browser
})

/** The README's blocks of code of a kind. */
const blocks = (kind) => [...README.matchAll(/^```(.*)\n([^]*?)^```/gm)].filter((block) => block[1] === kind).map((block) => block[2])

test('the start of the README runs as it is pasted', async (t) => {
  const server = await startServer(t)
  const [start] = blocks('js')
  assert.ok(start.trim().split('\n').length <= 15)
  await writeFile(join(project, 'start.mjs'), start.replaceAll('localhost:3000', `localhost:${server.port}`))
  const { stdout, stderr } = await run(process.execPath, ['start.mjs'], { cwd: project, timeout: 30_000 })
  const [promised] = blocks('')
  assert.deepEqual([stdout, stderr], [promised, ''])
})

test('the other examples of the README run', async (t) => {
  const server = await startServer(t)
  const token = await server.token('alice')
  await writeFile(
    join(project, 'setup.mjs'),
    `import { createClient } from 'gatecast'
    import WebSocket from 'ws'
    globalThis.client = createClient({ url: '${server.socket}', getToken: () => '${token}', WebSocket })
    globalThis.room = client.channel('room:42')
    await client.connect()`,
  )
  for (const [i, code] of blocks('js').slice(1).entries()) {
    await writeFile(join(project, `example-${i}.mjs`), `import './setup.mjs'\n${code}\nawait client.disconnect()`)
    const { stderr } = await run(process.execPath, [`example-${i}.mjs`], { cwd: project, timeout: 30_000 })
    assert.equal(stderr, '', code)
  }
})

test('the examples of the README have the right types', async () => {
  await writeFile(join(project, 'globals.d.ts'), "declare const client: import('gatecast').Client\ndeclare const room: import('gatecast').Channel\n")
  const names = ['globals.d.ts']
  for (const [kind, extension] of [['js', 'js'], ['js page', 'js'], ['ts', 'ts'], ['tsx', 'tsx']]) {
    assert.ok(blocks(kind).length > 0, kind)
    for (const [i, code] of blocks(kind).entries()) {
      names.push(`${kind.replace(' ', '-')}-${i}.${extension}`)
      await writeFile(join(project, names.at(-1)), code.replace("'/client/gatecast.js'", "'gatecast'"))
    }
  }
  const untyped = { allowJs: true, checkJs: true, noImplicitAny: false } // it is JavaScript, and so is ws
  await check(names, { ...BUNDLER, ...untyped })
})
