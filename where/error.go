package where

import (
	"strconv"
	"unicode/utf8"
)

// The values of [Error.Code].
const (
	CodeMalformedFilter    = "malformed_filter"     // the filter is not in the language
	CodeUnknownField       = "unknown_field"        // no such field, or a hidden one
	CodeFieldNotFilterable = "field_not_filterable" // the field exists, clients may not filter or sort by it
	CodeUnknownOperator    = "unknown_operator"     // no such lookup, or not for the field's type
	CodeInvalidValue       = "invalid_value"        // the value does not fit the field's type
	CodeFilterTooLarge     = "filter_too_large"     // a limit was passed
	CodeMalformedOrder     = "malformed_order"      // the order is not in the language, or the field has none
)

// Error is what every function of this package returns when it refuses its input. Message is one sentence that the
// sender of the filter can act on; it repeats at most forty characters of the input.
type Error struct {
	Code    string // one of the Code constants
	Field   string // the field that it is about; empty when it is about the whole filter
	Message string

	cause error
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the error of [Field.Arg] when that refused the value. Its text may be internal and is not part of
// Message.
func (e *Error) Unwrap() error { return e.cause }

func malformed(message string) *Error {
	return &Error{Code: CodeMalformedFilter, Message: message}
}

func tooLarge(field, message string) *Error {
	if field != "" {
		message = "field " + quote(field) + ": " + message
	}
	return &Error{Code: CodeFilterTooLarge, Field: clip(field), Message: message}
}

// fieldError is about one field; problem continues `field "name": …`.
func fieldError(code, field, problem string) *Error {
	return &Error{Code: code, Field: clip(field), Message: "field " + quote(field) + ": " + problem}
}

func unknownField(field string) *Error {
	return &Error{Code: CodeUnknownField, Field: clip(field), Message: "unknown field " + quote(field)}
}

// clipLength is how many characters of the input a message repeats.
const clipLength = 40

// clip cuts what the sender wrote, so that a message stays a sentence and is no means to reflect a large input.
func clip(s string) string {
	if len(s) <= clipLength {
		return s
	}
	n := 0
	for i := range s {
		if n == clipLength {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

// quote puts clipped input between quotation marks, with everything unprintable escaped.
func quote(s string) string {
	if !utf8.ValidString(s) {
		return strconv.QuoteToASCII(clip(s))
	}
	return strconv.Quote(clip(s))
}
