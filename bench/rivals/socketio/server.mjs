// Socket.io as a server of the bench, in the form of bench/internal/server. It speaks WebSocket from the beginning, as its clients do when told to: what
// it does for those that cannot would only add to the price.
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Server } from 'socket.io'

const options = flags({ transport: 'websocket', size: '128', portable: 'false' })
if (options.transport !== 'websocket') fail(`this server does not have the transport ${options.transport}, it has websocket`)
const size = Number(options.size)

setFlagsFromString('--expose_gc')
const collect = runInNewContext('gc')

const http = createServer()
const io = new Server(http, {
	transports: ['websocket'],
	serveClient: false,
	// Its pings are messages of its own protocol, which the generator does not answer. This is as rare as a timer can be.
	pingInterval: 2 ** 31 - 1,
})
http.listen(0, '127.0.0.1', () => {
	const first = { path: '/socket.io/?EIO=4&transport=websocket', say: '40', sign: '40{"sid"' }
	say({ address: `127.0.0.1:${http.address().port}`, first })
	createInterface({ input: process.stdin }).on('line', obey).on('close', () => process.exit(0))
})

function obey(line) {
	const [command, ...words] = line.split(' ')
	switch (command) {
	case 'publish': {
		const [first, count, keys = 0] = words.map(Number)
		if (!(first >= 0 && count >= 0)) fail(`the command "${line}" has no numbers`)
		if (keys > 0) fail('this server cannot send to one client: it has no keys')
		for (let n = first; n < first + count; n++) io.emit('m', message(n))
		return
	}
	case 'stats': {
		collect()
		const { heapUsed, external } = process.memoryUsage()
		return say({ memory: 0, live: heapUsed + external, goroutines: 0, lists: 0 })
	}
	case 'profile':
		return say(words[0] === 'off' ? {} : { error: 'this server has no profiles in the form of pprof' })
	default:
		fail(`there is no command "${line}"`)
	}
}

// message is what server.Message makes, before it is JSON.
function message(n) {
	const room = Math.max(0, size - `{"n":${n},"text":""}`.length)
	return { n, text: 'xy'[n & 1].repeat(room) }
}

// flags reads flags as Go's package flag does, with one dash or two, as far as a server of the bench is given them.
function flags(values) {
	for (let args = process.argv.slice(2); args.length > 0;) {
		const [, name, , value] = /^--?([a-z]+)(=(.*))?$/.exec(args.shift()) ?? []
		if (!(name in values)) fail(`there is no flag -${name}`)
		values[name] = value ?? (name === 'portable' ? 'true' : args.shift())
	}
	return values
}

function say(answer) {
	process.stdout.write(`${JSON.stringify(answer)}\n`)
}

function fail(why) {
	console.error(why)
	process.exit(1)
}
