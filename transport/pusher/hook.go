package pusher

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/swampline/live/internal/wire"
)

// WebhookOptions say how webhooks are posted to the URLs of apps. The zero value will do.
type WebhookOptions struct {
	// Client posts them. Nil: one with time-outs of its own. Its redirects are not followed, whatever it says: the signature is for the app's URL.
	Client *http.Client
	// Batch is how long an event may wait for others that go with it. Zero: 50 ms; negative: no time.
	Batch time.Duration
	// BatchEvents is how many events one request may have. Zero: 100. A request has some 64 KiB at most, too.
	BatchEvents int
	// Queue is how many events of one app may wait on this node. Zero: 10,000. It may have 16 MiB at most, too. When there are more the oldest are
	// lost, and the logger is told.
	Queue int
	// Timeout is how long one attempt may take. Zero: 10 s.
	Timeout time.Duration
	// Retry is for how long a request that was not answered with 2xx is tried again, with pauses that begin with a second and double up to a
	// minute. Zero: 5 minutes; negative: it is not.
	Retry time.Duration
}

// withDefaults fills in what is zero.
func (o WebhookOptions) withDefaults() WebhookOptions {
	if o.Batch == 0 {
		o.Batch = 50 * time.Millisecond
	}
	if o.BatchEvents <= 0 {
		o.BatchEvents = 100
	}
	if o.Queue <= 0 {
		o.Queue = 10_000
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Retry == 0 {
		o.Retry = 5 * time.Minute
	}
	return o
}

// MarshalJSON returns the event as it is posted: a count of zero is said, and so is data that is empty.
func (h hook) MarshalJSON() ([]byte, error) {
	type plain hook
	posted := struct {
		plain
		Data              *string `json:"data,omitempty"`
		SubscriptionCount *int    `json:"subscription_count,omitempty"`
	}{plain: plain(h)}
	switch h.Name {
	case "client_event":
		posted.Data = &h.Data
	case "subscription_count":
		posted.SubscriptionCount = &h.SubscriptionCount
	}
	return wire.Marshal(posted)
}

// checkWebhook says what is wrong with the URL of an app's webhooks. Empty is right: there are none.
func checkWebhook(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("the webhook %q is no URL to post to: write it whole, as in https://example.com/pusher/webhook", text)
	}
	return nil
}
