// Package null has a hub that is nil.
package null

import . "github.com/swampline/live"

// LiveHub returns none.
func LiveHub() *Hub { return nil }
