//go:build linux

package main

// spec is a server that takes part: see package server for what it must do.
type spec struct {
	// Name is what tables call it. Those whose name begins with "live" are held to the goals, and limit-raw is what all are compared with.
	Name string
	// Dir and Package say what is built with go build: a directory below bench/ with a go.mod, and a package in it.
	Dir, Package string
	// Script is run by Node instead, in Dir, after npm ci.
	Script string
	// Args are given to it besides those that every server has.
	Args []string
	// Transports it speaks.
	Transports []string
}

var (
	all       = []string{"websocket", "sse", "longpoll"}
	websocket = all[:1]
	sse       = all[1:2]
)

// servers are those that send each message to everybody, in the order of the tables.
var servers = []spec{
	{Name: raw, Dir: ".", Package: "./servers/limit", Transports: all},
	{Name: batch, Dir: ".", Package: "./servers/limit", Args: []string{"-batch"}, Transports: all},
	{Name: channel, Dir: ".", Package: "./servers/live", Args: []string{"-source", "channel"}, Transports: all},
	{Name: foreign, Dir: ".", Package: "./servers/live", Args: []string{"-source", "pusher"}, Transports: websocket},
	{Name: shared, Dir: ".", Package: "./servers/live", Args: []string{"-source", "shared"}, Transports: all},
	{Name: "gobwas", Dir: "rivals", Package: "./gobwas", Transports: websocket},
	{Name: "gws", Dir: "rivals", Package: "./gws", Transports: websocket},
	{Name: "gorilla", Dir: "rivals", Package: "./gorilla", Transports: websocket},
	{Name: "melody", Dir: "rivals", Package: "./melody", Transports: websocket},
	{Name: "naive coder/websocket", Dir: "rivals", Package: "./coder", Transports: websocket},
	{Name: "centrifuge", Dir: "rivals", Package: "./centrifuge", Transports: websocket},
	{Name: "socket.io", Dir: "rivals/socketio", Script: "server.mjs", Transports: websocket},
	{Name: "naive net/http", Dir: "rivals", Package: "./sse", Transports: sse},
}

// The names that goals are about.
const (
	raw     = "limit-raw"
	batch   = "limit-batch"
	channel = "live channel"
	foreign = "live pusher" // a channel whose clients speak Pusher's protocol
	shared  = "live router"
	own     = "live own"
)

// ofOwn sends each message to one client, by the filter that is that client's own.
var ofOwn = spec{Name: own, Dir: ".", Package: "./servers/live", Args: []string{"-source", "own"}, Transports: all}

// named returns a server of the table.
func named(name string) spec {
	for _, s := range servers {
		if s.Name == name {
			return s
		}
	}
	panic("there is no server " + name)
}
