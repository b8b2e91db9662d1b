package redisbroker

import "context"

var trimScript = newScript(`
local k = n - tonumber(ARGV[5])
if k > gone then trim(k) end
return {epoch, whole(n), word}
`)

// Trim makes the log forget all but the newest keep entries, as Append does when its bounds are reached.
func (b *Broker) Trim(ctx context.Context, keep int) error {
	_, err := b.locate(ctx, "trimming", trimScript, keep)
	return err
}

// Keys returns the keys of the stream and of the hash beside it.
func (b *Broker) Keys() (log, meta string) { return b.log, b.meta }

// Forget deletes the log.
func (b *Broker) Forget(ctx context.Context) error { return b.client.Del(ctx, b.log, b.meta).Err() }
