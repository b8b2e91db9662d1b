package live

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// Relation says where the rows are that belong to a row, for clients that load them as a live list of their own: a client that
// includes the relation when it subscribes is told what stands here, and subscribes to the router with the keys that it
// found. Nothing is loaded for it by the server, and its rights to those rows are those of their router.
//
//	"owner": {Router: "users", Key: "owner_id"}                     this row holds the other's key, or a list of keys
//	"lines": {Router: "lines", Field: "order_id"}                   the others hold this row's key
//	"tags":  {Router: "tags", Through: "product_tags", Field: "product_id", Key: "tag_id"}
//	                                                                rows of a third router hold both keys
//
// Clients filter by Field, so it must be one by which they may.
type Relation struct {
	// Router is the name of the router whose rows belong to this one.
	Router string
	// Key is the field that holds the other row's key, or keys: of this serializer, or of the router Through.
	Key string
	// Field is the field that holds this row's key: of the other router, or of the router Through.
	Field string
	// Through is the name of the router whose rows hold both keys, where a row belongs to many and many to it.
	Through string
}

// relation is a Relation of an endpoint.
type relation struct {
	Relation
	missed sync.Once // logs that a router is missing
}

// checkRelations refuses relations that are wrong whatever the other routers are.
func (m *model[T]) checkRelations(relations map[string]Relation) error {
	all := m.schema.View("")
	for _, name := range sortedKeys(relations) {
		r := relations[name]
		var wrong string
		switch {
		case !allowedName(name):
			wrong = "the name is not allowed: use letters, digits and single underscores"
		case all.Has(name):
			wrong = "a field has this name: rename one"
		case r.Router == "":
			wrong = "it has no Router: name the one whose rows belong to a row"
		case r.Through == "" && (r.Key == "") == (r.Field == ""):
			wrong = "want either Key, the field of this row that holds the other's key, or Field, the other's field that holds this row's; or both of the router Through"
		case r.Through != "" && (r.Key == "" || r.Field == ""):
			wrong = fmt.Sprintf("want Field and Key, the fields of router %s that hold this row's key and the other's", r.Through)
		case r.Through == "" && r.Key != "" && !all.Has(r.Key):
			wrong = fmt.Sprintf("its Key %q is no published field of the model", r.Key)
		default:
			continue
		}
		return fmt.Errorf("relation %q: %s", name, wrong)
	}
	return nil
}

// addRelations gives an endpoint its relations.
func (e *endpoint) addRelations(relations map[string]Relation) {
	e.relations = map[string]*relation{}
	for name, r := range relations {
		e.relations[name] = &relation{Relation: r}
	}
}

// checkRelations checks the relations between the routers that are registered so far. The hub's lock is held.
func (h *Hub) checkRelations() error {
	for _, from := range sortedKeys(h.endpoints) {
		e := h.endpoints[from]
		for _, name := range sortedKeys(e.relations) {
			if err := h.checkRelation(e.relations[name].Relation); err != nil {
				return fmt.Errorf("router %s: relation %q: %w", from, name, err)
			}
		}
	}
	return nil
}

func (h *Hub) checkRelation(r Relation) error {
	for _, name := range []string{r.Router, r.Through} {
		if e := h.endpoints[name]; e != nil && e.verbs.list == nil {
			return fmt.Errorf("router %s has no List, so nobody can subscribe to it: set it", name)
		}
	}
	holder := h.endpoints[r.Router]
	if r.Through != "" {
		holder = h.endpoints[r.Through]
	}
	if holder == nil || r.Field == "" {
		return nil
	}
	if !slices.ContainsFunc(holder.schema.Where.Fields(), func(f where.Field) bool { return f.Name == r.Field && f.Filter && !f.Hidden }) {
		return fmt.Errorf("clients cannot filter router %s by %q: give that field the option filter, or name another", holder.name, r.Field)
	}
	if r.Through != "" && !holder.schema.View("").Has(r.Key) {
		return fmt.Errorf("router %s publishes no field %q: name the one that holds the key of %s", holder.name, r.Key, r.Router)
	}
	return nil
}

// include returns what a client is told of the relations that it asks for, as the members of an object. A relation whose key
// it may not see does not exist.
func (e *endpoint) include(ctx context.Context, v *view, names []string) ([]byte, error) {
	var b []byte
	for i, name := range names {
		r := e.relations[name]
		if r == nil || r.Through == "" && r.Key != "" && !v.Has(r.Key) {
			message := fmt.Sprintf("no relation %q", clip(name))
			return nil, wire.NewProblem(http.StatusBadRequest, "unknown_relation", message).Field("include", message)
		}
		if slices.Contains(names[:i], name) {
			continue
		}
		for _, router := range []string{r.Router, r.Through} {
			if router != "" && e.hub.endpointOf(router) == nil {
				return nil, e.missing(ctx, name, r, router)
			}
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = wire.AppendString(b, name)
		b = wire.AppendRelation(append(b, ':'), r.Router, r.Through, r.Field, r.Key, e.hub.endpointOf(r.Router).keyField)
	}
	return b, nil
}

// missing refuses a relation to a router that was never registered. It is logged once: every client will ask.
func (e *endpoint) missing(ctx context.Context, name string, r *relation, router string) error {
	err := errors.New("the router of a relation is not registered")
	r.missed.Do(func() {
		e.hub.options.Logger.ErrorContext(ctx, "live: "+err.Error(), "router", e.name, "relation", name, "missing", router) // one sentence, always
	})
	p, _ := session.Problem(err)
	return p
}
