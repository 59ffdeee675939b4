package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/notify"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/starter/sagehook"
)

// HookAddress is where Sage is to post, with the token in it; empty where the configuration does not tell.
func HookAddress(c config.Config) string {
	if c.HTTP.Public == "" || c.Shipping.HookToken == "" {
		return ""
	}
	return string(c.HTTP.Public) + sagehook.Path + c.Shipping.HookToken.Reveal()
}

// HookActions are what may happen to a sales order that Sage is to tell of. Of a new one there is nothing to tell: it is
// ours, or somebody's own, which no HighLevel order belongs to.
func HookActions() []sage.HookAction { return []sage.HookAction{sage.HookUpdate, sage.HookDelete} }

// PostsHere tells whether a hook posts to an address of HookAddress.
func PostsHere(hook sage.Hook, address string) bool { return secret.SameToken(hook.URL, address) }

// PostsOutdated tells whether a hook posts to that front door, with another token than the present one.
func PostsOutdated(hook sage.Hook, address string) bool {
	end := strings.LastIndexByte(address, '/') + 1
	return end > 0 && strings.HasPrefix(hook.URL, address[:end]) && !PostsHere(hook, address)
}

// templates reads the texts for teams and tries them, as the worker does at its start.
func (s Subject) templates(context.Context) []Finding {
	f := Finding{Part: "configuration", Check: "NOTIFY_TEMPLATES", Verdict: OK}
	if s.Config.Telling.Templates == "" {
		return nil
	}
	if _, err := notify.LoadTemplates(s.Config.Telling.Templates); err != nil {
		f.Verdict, f.Found = Fail, err.Error()
		f.Mend = "mend the file, or unset NOTIFY_TEMPLATES for the texts that come with Tallystick"
	}
	return []Finding{f}
}

// shipping looks at what only the following of shipments needs. Orders get into Sage without any of it, so nothing but a
// setting that is wrong is a failure.
func (s tenant) shipping(ctx context.Context) []Finding {
	if !s.ships.On {
		return []Finding{{Part: sagePart, Check: "shipping", Verdict: Skip, Found: "not followed: FULFILLMENTS is off"}}
	}
	var found []Finding
	if s.ships.Activities || s.ships.Tasks && s.ships.TaskType == 0 {
		found = append(found, s.activityType(ctx, "SAGE_ACTIVITY_TYPE_ID", s.ships.ActivityType))
	}
	if s.ships.Tasks && s.ships.TaskType != 0 {
		found = append(found, s.activityType(ctx, "SAGE_TASK_TYPE_ID", s.ships.TaskType))
	}
	if s.hookToken != "" {
		found = append(found, s.hooks(ctx))
	}
	return found
}

func (s tenant) activityType(ctx context.Context, variable string, set int64) Finding {
	types, err := s.Catalog.ActivityTypes(ctx)
	var choices []Choice
	for _, t := range types {
		choices = append(choices, Choice{t.ID, t.Label()})
	}
	id := set
	if err == nil && id == 0 {
		id, err = s.Catalog.ActivityType(ctx, variable)
	}
	f := setting(variable, set, choices, id, err)
	if f.Verdict == Fail && set == 0 {
		f.Verdict = Warn
		f.Found += "; until it is settled no step of an order's shipping is entered in Sage"
		f.Mend += ", or SAGE_ACTIVITIES=off"
	}
	return f
}

// hooks looks whether Sage tells our front door of changed orders.
func (s tenant) hooks(ctx context.Context) Finding {
	f := Finding{Part: sagePart, Check: "hooks", Verdict: Warn}
	if s.hookAddress == "" {
		f.Found, f.Mend = "PUBLIC_URL is not set, so Sage cannot be told where to post", "set PUBLIC_URL, then `starter hooks apply`"
		return f
	}
	live, err := s.Hooks.Live(ctx)
	if err != nil {
		f.Found, f.Mend = "they cannot be listed: "+err.Error(), "run `starter check` again later"
		return f
	}
	var missing []string
	for _, action := range HookActions() {
		if !slices.ContainsFunc(live, func(h sage.Hook) bool { return h.Is(sage.HookOrder, action) && PostsHere(h, s.hookAddress) }) {
			missing = append(missing, fmt.Sprint(action))
		}
	}
	outdated := slices.ContainsFunc(live, func(h sage.Hook) bool { return PostsOutdated(h, s.hookAddress) })
	switch {
	case len(missing) > 0:
		f.Found = "Sage does not tell of sales orders' " + strings.Join(missing, ", ") + "; the sweep finds them later"
		f.Mend = "`starter hooks apply`"
	case outdated:
		f.Found, f.Mend = "some post with a token that is not the present one", "`starter hooks apply`"
	default:
		f.Verdict, f.Found = OK, "Sage tells of changed sales orders"
	}
	return f
}
