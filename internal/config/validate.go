package config

import (
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/notify"
)

// minAdminToken is the length below which a token can be guessed.
const minAdminToken = 16

// ghlLimit is what HighLevel allows a location and app in 10 seconds, by its marketplace documentation.
const ghlLimit = 100

// highLevel is HighLevel's own API, the default of GHL_BASE_URL.
const highLevel BaseURL = "https://services.leadconnectorhq.com"

var locationID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// ExtraFieldNames are the facts that get an extra field at Sage, by their names without a prefix.
var ExtraFieldNames = []string{
	"PaymentStatus", "PaymentIds", "PaidAmount", "RefundedAmount", "PaidAt", "CouponCode",
	"FulfillmentStatus", "FulfillmentIds", "TrackingNumbers", "ShippedDate", "DeliveredDate",
	"SubscriptionStatus", "SubscriptionInterval",
}

// validate checks what a single value's form does not show.
func (c Config) validate() (faults []Fault) {
	check := func(ok bool, variable, problem string) {
		if !ok {
			faults = append(faults, Fault{variable, problem})
		}
	}
	c.validateAccess(check)
	c.validateSage(check)
	c.validateShipping(check)
	c.validateBooks(check)
	c.validateTelling(check)
	c.validateWatchdog(check)
	c.validateTimes(check)
	for name, n := range map[string]int{
		"WORKER_CONCURRENT_WORKFLOWS": c.Process.ConcurrentWorkflows, "WORKER_CONCURRENT_GHL": c.Process.ConcurrentGHL,
		"WORKER_CONCURRENT_SAGE": c.Process.ConcurrentSage, "WORKER_POLLERS": c.Process.Pollers,
		"WORKER_WORKFLOW_CACHE": c.Process.WorkflowCache,
	} {
		check(n >= 2, name, "must be at least 2")
	}
	return faults
}

type checker func(ok bool, variable, problem string)

func (c Config) validateAccess(check checker) {
	token := len(c.Secrets.AdminToken)
	check(token == 0 || token >= minAdminToken, "ADMIN_TOKEN",
		fmt.Sprintf("is too short to be safe: use at least %d characters, such as openssl rand -hex 24 makes", minAdminToken))
	check(c.HTTP.Listen != "", "LISTEN_ADDRESS", "cannot be off")
	check(c.HTTP.Metrics == "" || c.HTTP.Metrics != c.HTTP.Listen, "METRICS_ADDRESS", "must differ from LISTEN_ADDRESS")
	check(c.GHL.LocationID == "" || locationID.MatchString(c.GHL.LocationID), "GHL_LOCATION_ID",
		"is no location id: it stands in the address of the location's pages, behind /location/")
	check(c.GHL.PrivateToken == "" || c.GHL.LocationID != "", "GHL_LOCATION_ID", "is not set, and GHL_PRIVATE_TOKEN belongs to a location")
	check(c.GHL.ClientSecret == "" || c.GHL.ClientID != "", "GHL_CLIENT_ID", "is not set, and GHL_CLIENT_SECRET belongs to an app")
	// Another server in HighLevel's place, such as a simulator, has a limit of its own or none.
	tooMany := c.GHL.RequestsPer10Seconds > ghlLimit && c.GHL.BaseURL == highLevel
	check(c.GHL.RequestsPer10Seconds >= 1 && !tooMany, "GHL_REQUESTS_PER_10_SECONDS",
		fmt.Sprintf("must be from 1 to %d", ghlLimit))
	for _, origin := range c.HTTP.CodecOrigins {
		u, err := url.Parse(origin)
		check(err == nil && u.Scheme != "" && u.Host != "" && u.Path == "", "CODEC_ORIGINS",
			"must be origins such as http://127.0.0.1:8233, without a slash at the end, separated by commas")
	}
}

func (c Config) validateSage(check checker) {
	check(c.Sage.RequestsPerSecond > 0 && c.Sage.RequestsPerSecond <= 1000, "SAGE_REQUESTS_PER_SECOND", "must be more than 0")
	for name, id := range map[string]int64{
		"SAGE_BRANCH_ID": c.Sage.BranchID, "SAGE_SALES_REP_ID": c.Sage.SalesRepID,
		"SAGE_ORDER_STATUS_OPEN": c.Sage.StatusOpen, "SAGE_ORDER_STATUS_WON": c.Sage.StatusWon,
		"SAGE_ORDER_STATUS_REFUNDED": c.Sage.StatusRefunded, "SAGE_TAX_PRODUCT_ID": c.Sage.TaxProductID,
		"SAGE_SHIPPING_PRODUCT_ID": c.Sage.ShippingProductID,
	} {
		check(id >= 0, name, "is no id: ids are positive, starter check lists them")
	}
	known := map[string]bool{}
	for _, name := range ExtraFieldNames {
		known[name] = true
	}
	for name, field := range c.Sage.ExtraFields {
		check(known[name], "SAGE_EXTRA_FIELDS", "names a fact that does not exist; there are: "+fmt.Sprint(ExtraFieldNames))
		check(field != "", "SAGE_EXTRA_FIELDS", "gives a fact no field")
	}
}

var hookToken = regexp.MustCompile(`^[A-Za-z0-9_-]{16,}$`)

func (c Config) validateShipping(check checker) {
	s := c.Shipping
	token := s.HookToken.Reveal()
	check(token == "" || hookToken.MatchString(token), "SAGE_HOOK_TOKEN",
		"must be at least 16 letters and digits, since it stands in an address: openssl rand -hex 24 makes one")
	check(s.DeliverySecret == "" || len(s.DeliverySecret) >= minAdminToken, "DELIVERY_WEBHOOK_SECRET",
		fmt.Sprintf("is too short to be safe: use at least %d characters, such as openssl rand -hex 24 makes", minAdminToken))
	for name, id := range map[string]int64{"SAGE_ACTIVITY_TYPE_ID": s.ActivityType, "SAGE_TASK_TYPE_ID": s.TaskType} {
		check(id >= 0, name, "is no id: ids are positive, starter check lists them")
	}
	check(s.Settle >= time.Second, "GHL_SETTLE_DELAY", "must be at least 1s")
}

func (c Config) validateBooks(check checker) {
	b := c.Books
	for name, id := range map[string]int64{
		"SAGE_OPPORTUNITY_STATUS_OPEN": b.StatusOpen, "SAGE_OPPORTUNITY_STATUS_WON": b.StatusWon,
		"SAGE_OPPORTUNITY_STATUS_LOST": b.StatusLost,
	} {
		check(id >= 0, name, "is no id: ids are positive, starter check lists them")
	}
	check(b.Probability >= 0 && b.Probability <= 10, "SAGE_OPPORTUNITY_PROBABILITY", "must be from 0 to 10")
	check(b.ReportAccount >= 0, "REVENUE_REPORT_ACCOUNT", "is no id: ids are positive")
	check(b.Report != RevenueActivities || b.ReportAccount != 0, "REVENUE_REPORT_ACCOUNT",
		"is not set, and REVENUE_REPORT=activity needs the id of an account in Sage")
	check(b.ReportDay >= 1 && b.ReportDay <= 28, "REVENUE_REPORT_DAY", "must be from 1 to 28, which every month has")
	if b.Currency != "" {
		_, err := domain.ParseCurrency(b.Currency)
		check(err == nil, "SALES_CURRENCY", "is no ISO 4217 currency, such as EUR")
	}
}

func (c Config) validateTelling(check checker) {
	if c.Telling.Templates != "" {
		if _, err := notify.LoadTemplates(c.Telling.Templates); err != nil {
			check(false, "NOTIFY_TEMPLATES", "cannot be used: "+err.Error())
		}
	}
	for name, link := range map[string]string{
		"LINK_GHL_ORDER": c.Telling.GHLOrder, "LINK_SAGE_ORDER": c.Telling.SageOrder, "LINK_WORKFLOW": c.Telling.Workflow,
	} {
		if err := notify.CheckLink(link); err != nil {
			check(false, name, "is no address of a page: "+err.Error())
		}
	}
}

func (c Config) validateWatchdog(check checker) {
	w := c.Watchdog
	check(w.Interval == 0 || w.Interval >= time.Second, "WATCHDOG_INTERVAL", "must be at least 1s, or 0s to switch the watchdog off")
	for name, d := range map[string]time.Duration{
		"WATCHDOG_GRACE": w.Grace, "WATCHDOG_REMIND": w.Remind, "WATCHDOG_PARKED_AGE": w.ParkedAge,
	} {
		check(d >= 0, name, "must not be negative")
	}
	check(w.QueueAge >= time.Second, "WATCHDOG_QUEUE_AGE", "must be at least 1s")
	check(w.MissedSweeps >= 2, "WATCHDOG_MISSED_SWEEPS", "must be at least 2: the sweep that is due runs for a while")
	check(w.QuotaLeft >= 0 && w.QuotaLeft < 100, "WATCHDOG_QUOTA_LEFT", "must be from 0 to 99")
}

func (c Config) validateTimes(check checker) {
	for name, d := range map[string]time.Duration{
		"SYNC_INTERVAL": c.Sync.Interval, "DEEP_SYNC_INTERVAL": c.Sync.DeepInterval, "REFUND_WINDOW": c.Sync.RefundWindow,
		"SHUTDOWN_TIMEOUT": c.Process.ShutdownTimeout, "FULFILLMENT_SYNC_INTERVAL": c.Sync.Fulfillments,
		"FULFILLMENT_VERIFY_INTERVAL": c.Sync.FulfillmentVerify, "FULFILLMENT_WINDOW": c.Sync.FulfillmentWindow,
		"RECONCILE_INTERVAL": c.Sync.ReconcileInterval, "RECONCILE_DEEP_INTERVAL": c.Sync.ReconcileDeepInterval,
	} {
		check(d >= time.Second, name, "must be at least 1s")
	}
	for name, d := range map[string]time.Duration{
		"SYNC_OVERLAP": c.Sync.Overlap, "SAGE_SETTLE_DELAY": c.Sage.SettleDelay, "MATCH_OPEN_ORDERS_WITHIN": c.Orders.MatchOpenWithin,
		"DIFFERENCE_AGE": c.Books.DifferenceAge, "RECONCILE_OVERLAP": c.Sync.ReconcileOverlap,
	} {
		check(d >= 0, name, "must not be negative")
	}
}
