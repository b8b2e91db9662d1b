package main

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-playground/validator/v10"

	"github.com/swampline/live"
)

// rules reads the tags "validate" of a struct once, and is meant to be shared.
var rules = newRules()

func newRules() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(field reflect.StructField) string {
		name, _, _ := strings.Cut(field.Tag.Get("live"), ",")
		if name == "" {
			name, _, _ = strings.Cut(field.Tag.Get("json"), ",")
		}
		return name
	})
	return v
}

// valid checks a struct by its tags, and says what is wrong at the fields, under the names that clients use.
func valid(v any) error {
	err := rules.Struct(v)
	var wrong validator.ValidationErrors
	if !errors.As(err, &wrong) {
		return err
	}
	invalid := live.Invalid{}
	for _, field := range wrong {
		invalid[field.Field()] = append(invalid[field.Field()], message(field))
	}
	return invalid
}

// message words what is wrong with a field.
func message(field validator.FieldError) string {
	switch field.Tag() {
	case "required":
		return "Please fill this in."
	case "max":
		return fmt.Sprintf("At most %s characters.", field.Param())
	case "gt":
		return fmt.Sprintf("Must be more than %s.", field.Param())
	case "gte":
		return fmt.Sprintf("Must be %s or more.", field.Param())
	case "lte":
		return fmt.Sprintf("Must be %s or less.", field.Param())
	case "gtfield":
		return fmt.Sprintf("Must be more than the %s.", strings.ToLower(field.Param()))
	case "oneof":
		return fmt.Sprintf("Must be one of: %s.", strings.ReplaceAll(field.Param(), " ", ", "))
	}
	return "This is not valid."
}
