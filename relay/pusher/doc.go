// Package pusher relays what a hub tells to a hosted service that speaks Pusher's HTTP API, such as Pusher Channels, Soketi or Laravel Reverb: the same
// models over somebody else's sockets. It is the other direction of transport/pusher.
//
//	relay := pusher.New(hub, pusher.Options{
//		URL: "https://api-eu.pusher.com", AppID: id, Key: key, Secret: secret,
//		Routers: []pusher.Source{pusher.Rows[Todo]{Router: todos, Of: func(t Todo) []string { return []string{strconv.FormatInt(t.ListID, 10)} }}},
//	})
//	go relay.Run(ctx) // on every node
//
// A page then follows private-todos-7 with pusher-js, and is told created, updated and deleted.
//
// The relay reads the hub's log, so what it sends was committed, in the order of the log. One node of all that run relays. It does not read on
// before the service has taken what it read, so nothing waits in memory, and what was published while nobody relayed is relayed afterwards, as far
// as the log reaches back. An event comes at least once: after a crash, or a request whose answer was lost, some come again.
//
// docs/relay.md tells more.
package pusher
