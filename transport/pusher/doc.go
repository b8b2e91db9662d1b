// Package pusher serves the Pusher Channels protocol, version 7, on a hub: unmodified clients such as pusher-js and Laravel Echo, and the server
// SDKs of Pusher's HTTP API, work against it when they are given its address.
//
//	hub := live.New(live.Options{})
//	mux.Handle("/live/", hub)
//	channels := pusher.New(hub, pusher.Options{Apps: []pusher.App{{ID: "1", Key: "key", Secret: "secret"}}})
//	mux.Handle("/app/", channels)
//	mux.Handle("/apps/", channels)
//
// A connection is a session of the hub, and a channel of Pusher's is a channel of the hub, of the same name: what Go code publishes with
// Hub.Publish reaches both kinds of clients, and so does what comes by the HTTP API. An [Event] has a name for Pusher's clients; any other value that is
// published comes to them as the event "message". Clients of this module's own protocol see events as {"event":"name","data":"text"}. They may follow what the
// application has declared as a live.Channel; Pusher's clients follow any channel, for there a name says who may: those that begin with
// "private-" or "presence-" need a signature of the application.
//
// Who is on a channel of presence is one with package presence: clients of both kinds see each other.
package pusher
