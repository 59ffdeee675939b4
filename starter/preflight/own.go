package preflight

import (
	"context"
	"errors"

	"github.com/tallystick/tallystick/internal/config"
)

// configuration tells every fault of the environment, what looks misspelt, and what is as it seldom should be.
func (s Subject) configuration(context.Context) []Finding {
	const part = "configuration"
	var found []Finding
	var faults config.Faults
	switch {
	case errors.As(s.Faults, &faults):
		for _, fault := range faults {
			found = append(found, Finding{Part: part, Check: fault.Variable, Verdict: Fail, Found: fault.Problem,
				Mend: "docs/configuration.md explains the variable"})
		}
		return found
	case s.Faults != nil:
		return []Finding{{Part: part, Check: "environment", Verdict: Fail, Found: s.Faults.Error(), Mend: "docs/configuration.md explains each variable"}}
	}
	found = append(found, Finding{Part: part, Check: "environment", Verdict: OK})
	for _, name := range s.Config.Unknown {
		found = append(found, Finding{Part: part, Check: name, Verdict: Warn, Found: "no variable of this name is known",
			Mend: "look for a misspelling in docs/configuration.md"})
	}
	if s.Config.Orders.ReadOnly {
		found = append(found, Finding{Part: part, Check: "READ_ONLY", Verdict: Warn, Found: "nothing will be written to a vendor",
			Mend: "unset it when orders shall be brought into Sage; `starter planned` shows what would have been sent"})
	}
	notify := Finding{Part: part, Check: "NOTIFY_WEBHOOK_URL", Verdict: OK, Found: "set; nothing was posted to it"}
	if s.Config.Telling.WebhookURL.Text == "" {
		notify.Verdict, notify.Found = Warn, "not set, so only the log says when somebody must act"
		notify.Mend = "set it to an incoming webhook of your chat"
	}
	return append(found, notify)
}

func (s Subject) keys(context.Context) []Finding {
	ring := Finding{Part: keysPart, Check: "key ring", Verdict: OK}
	if s.Config.Secrets.Keys.Ring == nil {
		ring.Verdict, ring.Found = Fail, "SECRET_KEYS is not set, and worker and starter do not start without"
		ring.Mend = `set it to "k1:" and what openssl rand -base64 32 prints, the same for worker and starter`
	} else {
		ring.Found = s.Config.Secrets.Keys.String()
	}
	return []Finding{ring, s.webhookKeys()}
}

// webhookKeys compares the keys that webhooks are checked with to the one that HighLevel publishes.
func (s Subject) webhookKeys() Finding {
	f := Finding{Part: keysPart, Check: "webhook signatures", Verdict: OK, Found: s.Config.GHL.WebhookPublicKeys.String()}
	if len(s.Config.GHL.WebhookPublicKeys) == 0 {
		f.Verdict, f.Found = Skip, "the configuration has faults"
		return f
	}
	published := publishedKeys()
	for _, key := range s.Config.GHL.WebhookPublicKeys {
		for _, theirs := range published {
			if key.Equal(theirs) {
				f.Found += ", HighLevel's published one among them"
				return f
			}
		}
	}
	f.Verdict, f.Found = Warn, f.Found+", and HighLevel's published one is not among them: its webhooks are refused"
	f.Mend = "unset GHL_WEBHOOK_PUBLIC_KEYS, unless HighLevel has announced a new key or this is a rehearsal"
	return f
}

// publishedKeys are the default of the variable.
func publishedKeys() (keys config.PublicKeys) {
	for _, v := range config.Variables() {
		if v.Name == "GHL_WEBHOOK_PUBLIC_KEYS" {
			if err := keys.Decode(v.Default); err != nil {
				return nil
			}
		}
	}
	return keys
}
