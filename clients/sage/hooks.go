package sage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/tallystick/tallystick/clients/transport"
)

// HookEntity is a kind of record that a hook can tell of. There are none for products, order lines and sales.
type HookEntity string

// HookAction is what must happen to a record for a hook to be sent.
type HookAction string

// The entities and actions of hooks (endpoint pages). A hook is about one of each.
const (
	HookAccount     HookEntity = "account"
	HookContact     HookEntity = "contact"
	HookOpportunity HookEntity = "opportunity"
	HookActivity    HookEntity = "activity"
	HookCalendar    HookEntity = "calendar"
	HookOrder       HookEntity = "salesorder"

	HookInsert HookAction = "insert"
	HookUpdate HookAction = "update"
	HookDelete HookAction = "delete"
)

// Hook is a registered hook: an address that Sage calls when records of a kind change.
type Hook struct {
	ID     int64
	Name   string
	Entity HookEntity
	Action HookAction
	// URL is the address that is called. It may hold a secret of ours, so it does not belong in logs.
	URL string
	// SecretKey is made by Sage. How it is presented in a call is not documented (A116), so a caller can't be told by it.
	SecretKey string
	Deleted   bool
}

func (h Hook) audit() Audit { return Audit{ID: h.ID, Deleted: Bool(h.Deleted)} }

// Is tells whether the hook is about that kind of record and that action, in any spelling: one endpoint page has
// "salesOrder" where another has "salesorder".
func (h Hook) Is(entity HookEntity, action HookAction) bool {
	return strings.EqualFold(string(h.Entity), string(entity)) && strings.EqualFold(string(h.Action), string(action))
}

// UnmarshalJSON reads a hook. Alone among the records of the API it has names with underscores.
func (h *Hook) UnmarshalJSON(data []byte) error {
	var wire struct {
		ID        json.RawMessage `json:"id"`
		Name      string          `json:"name"`
		Entity    HookEntity      `json:"entity"`
		Action    HookAction      `json:"action"`
		URL       string          `json:"url"`
		SecretKey string          `json:"secret_key"`
		Deleted   Bool            `json:"deleted"`
	}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err //nolint:wrapcheck // the caller names the record
	}
	id, err := wholeNumber(wire.ID)
	if err != nil {
		return err
	}
	*h = Hook{ID: id, Name: wire.Name, Entity: wire.Entity, Action: wire.Action, URL: wire.URL, SecretKey: wire.SecretKey,
		Deleted: bool(wire.Deleted)}
	return nil
}

// NewHook is a hook to be registered; all of it is required (endpoint pages).
type NewHook struct {
	Name   string     `json:"name"`
	Entity HookEntity `json:"entity"`
	Action HookAction `json:"action"`
	URL    string     `json:"url"`
}

// Hooks are the hooks of the tenant. What Sage sends to them is a hint and no more: see [ReadHook].
type Hooks struct{ client *Client }

// List reads the hooks, deleted ones included.
func (h *Hooks) List(ctx context.Context) iter.Seq2[Hook, error] {
	return list[Hook](ctx, h.client, listing{operation: "sage.hooks.list", path: "/hooks"})
}

// Live reads the hooks that are not deleted, by ascending id.
func (h *Hooks) Live(ctx context.Context) ([]Hook, error) {
	all, err := collect(h.List(ctx))
	if err != nil {
		return nil, err
	}
	live := all[:0]
	for _, hook := range all {
		if !hook.Deleted {
			live = append(live, hook)
		}
	}
	return live, nil
}

// Create registers a hook and returns it with its id and secret key. Nothing says that a second one like it is refused,
// so look at Live before, and again if the error's MayHaveLanded is set.
func (h *Hooks) Create(ctx context.Context, hook NewHook) (Hook, error) {
	const operation = "sage.hooks.create"
	if address, err := url.Parse(hook.URL); err != nil || address.Host == "" || hook.Name == "" || hook.Entity == "" || hook.Action == "" {
		return Hook{}, wrongCall(operation, "a hook needs a name, an entity, an action and an absolute address")
	}
	var raw json.RawMessage
	err := h.client.do(ctx, transport.Call{Operation: operation, Method: http.MethodPost, Path: "/hooks", Body: hook, Write: true}, &raw)
	if err != nil {
		return Hook{}, err
	}
	var made Hook
	if err := json.Unmarshal(raw, &made); err != nil {
		return Hook{}, unreadable(operation, true, err)
	}
	if made.ID <= 0 {
		return Hook{}, unreadable(operation, true, fmt.Errorf("%w: a create without the new id", errWire))
	}
	made.Name, made.Entity, made.Action, made.URL = hook.Name, hook.Entity, hook.Action, hook.URL
	return made, nil
}

// Delete ends a hook. A missing one is a 400: see [MaybeNotFound].
func (h *Hooks) Delete(ctx context.Context, id int64) error {
	const operation = "sage.hooks." + actionDelete
	params, err := byID(operation, id)
	if err != nil {
		return err
	}
	return h.client.do(ctx, transport.Call{Operation: operation, Method: http.MethodDelete, Path: "/hooks/{id}",
		PathParams: params, Write: true}, nil)
}

// HookRecord says which record a call of a hook is about, and what its extra fields were when it was sent.
type HookRecord struct {
	ID    int64
	ExtID string
	Extra Extra
}

// ReadHook reads the body of a call of a hook: an array of records as they are read (vendor's connector, A118). A single
// record is read as well. Of each only what names it and its extra fields are kept. A call can't be told from a forged one
// (A116), may come late, twice, out of order or never (A117), and tells of our own writes too: what shall be relied on is to
// be read from Sage.
// Records without an id are left out. The error never holds any of the body.
func ReadHook(body []byte) ([]HookRecord, error) {
	var rows []json.RawMessage
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '{' {
		rows = []json.RawMessage{body}
	} else if json.Unmarshal(body, &rows) != nil {
		return nil, fmt.Errorf("%w: a hook whose body is no array of records", errWire)
	}
	records := make([]HookRecord, 0, len(rows))
	for _, row := range rows {
		var wire struct {
			ID    json.RawMessage `json:"id"`
			ExtID json.RawMessage `json:"extId"`
		}
		extra, err := unflatten(row, &wire)
		if err != nil {
			return nil, fmt.Errorf("%w: a hook that holds something else than records", errWire)
		}
		if id, err := wholeNumber(wire.ID); err == nil && id > 0 {
			records = append(records, HookRecord{ID: id, ExtID: scalarText(wire.ExtID), Extra: extra})
		}
	}
	return records, nil
}
