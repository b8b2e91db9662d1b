// Fanout counts on each client that follows getting each message once and in order, and on the answers of the server.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import test from 'node:test'
import { WebSocket } from 'ws'

const clients = 10

// start starts the server with flags. Its ask sends it a line; answers are read one after the other.
function start(t, ...flags) {
	const server = spawn(process.execPath, [new URL('server.mjs', import.meta.url).pathname, ...flags], { stdio: ['pipe', 'pipe', 'pipe'] })
	t.after(() => server.kill('SIGKILL'))
	server.stdin.on('error', () => {}) // it may be gone before it is asked
	let errors = ''
	server.stderr.on('data', data => { errors += data })
	const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]()
	return {
		ended: once(server, 'close').then(([code]) => ({ code, errors })),
		stdin: server.stdin,
		ask: line => server.stdin.write(`${line}\n`),
		answer: async () => JSON.parse((await lines.next()).value),
	}
}

// follow connects a client, and returns when it follows. Its take returns the numbers of as many messages.
async function follow({ address, first }) {
	const socket = new WebSocket(`ws://${address}${first.path}`)
	const numbers = []
	let signed, arrived = () => {}
	const follows = new Promise(resolve => { signed = resolve })
	socket.on('message', data => {
		const text = String(data)
		if (text.includes(first.sign)) return signed()
		const found = /"n":(\d+),"text":"[xy]*"/.exec(text)
		if (found) numbers.push({ n: Number(found[1]), json: text.slice(text.indexOf('{'), -1) })
		arrived()
	})
	await once(socket, 'open')
	socket.send(first.say)
	await follows
	return {
		close: () => socket.close(),
		take: async count => {
			while (numbers.length < count) await new Promise(resolve => { arrived = resolve })
			return numbers.splice(0, count)
		},
	}
}

test('each client that follows gets each message once and in order', async t => {
	const server = start(t, '-transport', 'websocket', '-size=100')
	const ready = await server.answer()
	const all = await Promise.all(Array.from({ length: clients }, () => follow(ready)))
	server.ask('publish 9 32')
	server.ask('publish 41 1')
	for (const client of all) {
		const got = await client.take(33)
		assert.deepEqual(got.map(({ n }) => n), Array.from({ length: 33 }, (_, i) => 9 + i))
		assert.deepEqual(got.map(({ json }) => json.length), Array(33).fill(100))
	}
	all[0].close()
	server.ask('publish 42 1')
	for (const client of all.slice(1)) assert.equal((await client.take(1))[0].n, 42)
	for (const client of all.slice(1)) client.close()
})

test('the server answers commands, and ends with its input', async t => {
	const server = start(t, '-portable')
	assert.match((await server.answer()).address, /^127\.0\.0\.1:\d+$/)
	server.ask('stats')
	const stats = await server.answer()
	assert.equal(stats.memory, 0)
	assert.ok(stats.live > 0)
	server.ask('profile cpu somewhere')
	assert.match((await server.answer()).error, /no profiles/)
	server.ask('profile off')
	assert.deepEqual(await server.answer(), {})
	server.stdin.end()
	assert.deepEqual(await server.ended, { code: 0, errors: '' })
})

test('what the server cannot do ends it with a sentence', async t => {
	for (const [flags, line, why] of [
		[['-transport=sse'], '', /does not have the transport sse/],
		[['-nonsense'], '', /no flag -nonsense/],
		[[], 'publish 1 32 100', /it has no keys/],
		[[], 'publish', /has no numbers/],
		[[], 'dance', /no command "dance"/],
	]) {
		const server = start(t, ...flags)
		if (line) server.ask(line)
		const { code, errors } = await server.ended
		assert.equal(code, 1)
		assert.match(errors, why)
	}
})
