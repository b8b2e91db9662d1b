package wire

import "slices"

// codes are those that this module answers with, as docs/protocol.md lists them.
var codes = []string{
	"malformed_message", "unknown_type", "unsupported_protocol", "id_in_use", "unknown_router", "unknown_verb", "unknown_field",
	"field_not_filterable", "field_not_writable", "unknown_operator", "invalid_value", "malformed_filter", "filter_too_large",
	"malformed_order", "limit_too_large", "unknown_relation", "malformed_cursor", "invalid_key", "not_found", "version_required",
	"invalid_version", "conflict", "locked", "invalid", "bulk_too_large", "mutation_reused", "unknown_outcome", "signed_out", "forbidden",
	"forbidden_origin", "message_too_large", "too_many_subscriptions", "method_not_allowed", "unsupported_media_type", "unavailable",
	"not_acceptable", "internal",
	"rate_limited", "too_many_sessions", "batch_too_large", "too_slow", "no_message", "overloaded", "message_too_deep", "url_too_long",
}

// Label returns the problem's code if it is one of the protocol's, and for one of the application's own "application": there may be
// any number of these.
func (p *Problem) Label() string {
	if slices.Contains(codes, p.Code) {
		return p.Code
	}
	return "application"
}
