// Typing: what is told of one's own keys, and who else is listed.

import assert from 'node:assert/strict'
import { beforeEach, mock, test } from 'node:test'

import { Typing } from '../typing.js'

let clock
let told // what was sent, and when
let changes
let typing

beforeEach(() => {
  mock.timers.reset()
  mock.timers.enable({ apis: ['setTimeout'] })
  clock = 1_000_000
  told = []
  changes = 0
  typing = new Typing({
    tell: (isTyping) => told.push([isTyping, clock - 1_000_000]),
    changed: () => changes++,
    now: () => clock,
  })
})

/** Lets time pass, by the clock and for timers. */
function pass(ms) {
  clock += ms
  mock.timers.tick(ms)
}

const types = (name) => typing.take({ userId: `ID-${name}`, username: name, isTyping: true })
const names = () => typing.users.map(({ username }) => username).join(' ')

test('the first key tells at once, further ones once in 3 s', () => {
  typing.keystroke()
  assert.deepEqual(told, [[true, 0]])
  for (let i = 0; i < 100; i++) {
    pass(100)
    typing.keystroke()
  }
  assert.deepEqual(told, [[true, 0], [true, 3000], [true, 6000], [true, 9000]])
})

test('5 s without a key tell that it stopped, once', () => {
  typing.keystroke()
  pass(2000)
  typing.keystroke()
  pass(4999)
  assert.equal(told.length, 1)
  pass(1)
  assert.deepEqual(told, [[true, 0], [false, 7000]])
  pass(60_000)
  assert.equal(told.length, 2)
  typing.keystroke()
  assert.deepEqual(told.at(-1), [true, 67_000])
})

test('stop tells at once, and only if something was told', () => {
  typing.stop()
  assert.deepEqual(told, [])
  typing.keystroke()
  pass(1000)
  typing.stop()
  typing.stop()
  pass(60_000)
  assert.deepEqual(told, [[true, 0], [false, 1000]])
  typing.keystroke()
  assert.deepEqual(told.at(-1), [true, 61_000])
})

test('own keys list nobody', () => {
  typing.keystroke()
  typing.stop()
  assert.equal(changes, 0)
  assert.deepEqual(typing.users, [])
})

test('others are listed in the order in which they began, until they stop', () => {
  types('carol')
  types('alice')
  types('carol') // goes on
  assert.deepEqual(typing.users, [{ userId: 'ID-carol', username: 'carol' }, { userId: 'ID-alice', username: 'alice' }])
  assert.equal(changes, 2)
  typing.take({ userId: 'ID-carol', username: 'carol', isTyping: false })
  types('carol')
  assert.equal(names(), 'alice carol')
  typing.forget('ID-alice')
  typing.forget('ID-nobody')
  assert.equal(names(), 'carol')
  assert.equal(changes, 5)
})

test('who is silent for 6 s is taken out, who goes on is not', () => {
  types('alice')
  pass(1000)
  types('bob')
  pass(3000)
  types('alice')
  pass(2999)
  assert.equal(names(), 'alice bob')
  pass(1)
  assert.equal(names(), 'alice')
  pass(2999)
  assert.equal(names(), 'alice')
  pass(1)
  assert.equal(names(), '')
  assert.equal(changes, 4)
})

test('the list is the same until it changes, and cannot be changed', () => {
  const before = typing.users
  assert.equal(typing.users, before)
  types('alice')
  const one = typing.users
  assert.notEqual(one, before)
  types('alice')
  typing.forget('ID-bob')
  assert.equal(typing.users, one)
  types('bob')
  assert.equal(one.length, 1)
  assert.equal(typing.users[0], one[0])
  assert.throws(() => one.push({}), TypeError)
  assert.throws(() => { one[0].username = 'eve' }, TypeError)
})

test('a new name is shown', () => {
  types('alice')
  types('bob')
  typing.take({ userId: 'ID-alice', username: 'alicia', isTyping: true })
  assert.equal(names(), 'alicia bob')
  assert.equal(changes, 3)
})

test('own typing in another tab is not listed', () => {
  types('alice')
  types('bob')
  typing.setOwn('ID-alice') // it is told who one is
  assert.equal(names(), 'bob')
  types('alice')
  assert.equal(names(), 'bob')
  assert.equal(changes, 3)
  typing.setOwn('ID-bob') // another has logged in
  types('alice')
  assert.equal(names(), 'alice')
})

test('of a crowd 50 are listed, and more cost nothing', () => {
  for (let i = 0; i < 5000; i++) types(`user${i}`)
  assert.equal(typing.users.length, 50)
  assert.equal(changes, 50)
  types('user7') // goes on
  types('user4999')
  assert.equal(changes, 50)
  typing.forget('ID-user7')
  types('late')
  assert.equal(typing.users.at(-1).username, 'late')
  assert.equal(typing.users.length, 50)
})

test('close forgets all, tells nothing, and can be gone on from', () => {
  types('alice')
  typing.keystroke()
  typing.close()
  typing.close()
  pass(60_000)
  assert.deepEqual(told, [[true, 0]])
  assert.deepEqual(typing.users, [])
  assert.equal(changes, 2)
  types('bob')
  typing.keystroke()
  assert.equal(names(), 'bob')
  assert.equal(told.length, 2)
})

test('a listener of changes reads the new list', () => {
  const seen = []
  const heard = new Typing({ tell() {}, changed: () => seen.push(heard.users.length) })
  heard.take({ userId: '1', username: 'a', isTyping: true })
  heard.take({ userId: '2', username: 'b', isTyping: true })
  heard.close()
  assert.deepEqual(seen, [1, 2, 0])
})

test('no program waits for its timers', () => {
  mock.timers.reset()
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  typing.keystroke()
  types('alice')
  assert.equal(timers(), before)
  typing.close()
})
