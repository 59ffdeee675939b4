package stack

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tallystick/tallystick/internal/config"
)

// settings is what every process of the stack is told.
func (s *Stack) settings(temporalProfile string) map[string]string {
	public, private := s.Sage.Keys()
	set := map[string]string{
		"TEMPORAL_ADDRESS":   s.TemporalAddress,
		"TEMPORAL_NAMESPACE": s.Namespace,
		"DATABASE_URL":       s.DatabaseURL,
		"SECRET_KEYS":        s.ring.Reveal(),
		"LISTEN_ADDRESS":     address(s.port),

		"GHL_BASE_URL":                s.GHL.URL(),
		"GHL_LOCATION_ID":             s.GHL.Location(),
		"GHL_PRIVATE_TOKEN":           s.GHL.Token(),
		"GHL_WEBHOOK_PUBLIC_KEYS":     s.GHL.WebhookPublicKey(),
		"GHL_CLIENT_ID":               s.GHL.ClientID(),
		"GHL_CLIENT_SECRET":           s.GHL.ClientSecret(),
		"GHL_AUTHORIZE_URL":           s.authorizeURL(),
		"PUBLIC_URL":                  s.FrontDoor,
		"GHL_REQUESTS_PER_10_SECONDS": strconv.Itoa(s.ghlRate()),

		"SAGE_BASE_URL":            s.Sage.URL(),
		"SAGE_PUBLIC_KEY":          public,
		"SAGE_PRIVATE_KEY":         private,
		"SAGE_SALES_REP_ID":        strconv.FormatInt(s.Sage.APIUser(), 10),
		"SAGE_REQUESTS_PER_SECOND": strconv.FormatFloat(s.sageRate(), 'f', -1, 64),
		"SAGE_SETTLE_DELAY":        defaultSettleDelay.String(),

		"SYNC_INTERVAL":             defaultSyncInterval.String(),
		"SYNC_OVERLAP":              defaultOverlap.String(),
		"FULFILLMENT_SYNC_INTERVAL": defaultSyncInterval.String(),
		"GHL_SETTLE_DELAY":          defaultPostDelay.String(),
		"RECONCILE_INTERVAL":        defaultBooksInterval.String(),
		"RECONCILE_OVERLAP":         defaultOverlap.String(),
		"WATCHDOG_INTERVAL":         defaultWatchInterval.String(),
		"WATCHDOG_MISSED_SWEEPS":    strconv.Itoa(defaultMissedSweeps),

		"DELIVERY_WEBHOOK_SECRET": s.delivery,
		"SAGE_HOOK_TOKEN":         s.hook,
	}
	if s.Server != nil {
		set["TEMPORAL_CONFIG_FILE"] = temporalProfile
		if s.Server.UIAddress != "" {
			set["CODEC_ORIGINS"] = s.Server.UIAddress
		}
	}
	return set
}

func (s *Stack) authorizeURL() string {
	if s.opts.Authorize == "" {
		return s.GHL.AuthorizeURL()
	}
	return s.GHL.AuthorizeURL() + "?" + s.opts.Authorize
}

// ghlRate is how many calls in ten seconds the workers may make.
func (s *Stack) ghlRate() int {
	limits := s.opts.GHL.Limits
	if s.opts.GHL.NoLimits || limits.Interval <= 0 {
		return 10 * unlimited
	}
	rate := float64(limits.Burst) * margin * 10 / limits.Interval.Seconds()
	return max(int(rate), 1)
}

// sageRate is how many calls a second the workers may make.
func (s *Stack) sageRate() float64 {
	if limit := s.opts.Sage.RequestsPerSecond; limit > 0 {
		return limit * margin
	}
	return unlimited
}

// environment is base without what it says about Tallystick and, unless keepTemporal is set, about Temporal, and then
// each layer in turn.
func environment(base []string, keepTemporal bool, layers ...map[string]string) []string {
	ours := map[string]bool{}
	for _, v := range config.Variables() {
		ours[v.Name] = true
	}
	merged := map[string]string{}
	for _, entry := range base {
		name, value, _ := strings.Cut(entry, "=")
		if name == "" || ours[name] || (strings.HasPrefix(name, "TEMPORAL_") && !keepTemporal) {
			continue
		}
		merged[name] = value
	}
	for _, layer := range layers {
		maps.Copy(merged, layer)
	}
	env := make([]string, 0, len(merged))
	for _, name := range slices.Sorted(maps.Keys(merged)) {
		env = append(env, fmt.Sprintf("%s=%s", name, merged[name]))
	}
	return env
}
