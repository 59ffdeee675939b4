package config

import (
	"log/slog"
	"time"

	"github.com/tallystick/tallystick/internal/secret"
)

// Role is what a process is going to do. It decides which variables must be set.
type Role string

// The roles.
const (
	// Worker runs workflows and activities.
	Worker Role = "worker"
	// Serve is the starter's front door.
	Serve Role = "serve"
	// Check is the starter's preflight of credentials and mappings.
	Check Role = "check"
	// Command is any other command of the starter: it talks to Temporal and to the store, not to the vendors.
	Command Role = "command"
)

// Config is everything that can be set. The tag envconfig names the variable, default what it is when unset or empty,
// desc what it means, needed the roles that cannot do without it; with when, only if that other variable is set, with
// unless, only if it is not. own marks what a connection may have of its own, see LoadSettings.
//
// A field of type secret.Text, and every other type with a String that tells less than the value, is safe to print.
type Config struct {
	Store    Store    `title:"State"`
	Secrets  Secrets  `title:"Secrets"`
	HTTP     HTTP     `title:"Addresses"`
	GHL      GHL      `title:"GoHighLevel"`
	Sage     Sage     `title:"Sage Sales Management"`
	Orders   Orders   `title:"Orders"`
	Shipping Shipping `title:"Fulfilment"`
	Sync     Sync     `title:"Sweeps"`
	Books    Books    `title:"Books"`
	Telling  Telling  `title:"Telling people"`
	Watchdog Watchdog `title:"Watchdog"`
	Process  Process  `title:"Processes"`
	Watching Watching `title:"Logs"`

	// Unknown are set variables that look like ours and are not: most likely misspelt.
	Unknown []string `ignored:"true"`
}

// Store says where state is kept.
type Store struct {
	DatabaseURL DatabaseURL `envconfig:"DATABASE_URL" default:"sqlite:tallystick.db" desc:"Where links, ledger, parked items and cursors are kept: sqlite:PATH for one machine, postgres://user:password@host/database for several. Worker and starter need the same one."`
}

// Secrets holds what encrypts and what admits.
type Secrets struct {
	Keys       Keys        `envconfig:"SECRET_KEYS" needed:"worker,serve,command" desc:"Key ring id:base64,id:base64,…: the first key encrypts, all decrypt. Make a key with openssl rand -base64 32. To rotate, put a new one in front and keep the old ones."`
	AdminToken secret.Text `envconfig:"ADMIN_TOKEN" desc:"Admits to the decrypted payloads over HTTP, as bearer token; at least 16 characters. Without it they are not served on addresses beyond this machine."`
}

// HTTP says where the processes listen.
type HTTP struct {
	Listen       Address  `envconfig:"LISTEN_ADDRESS" default:"127.0.0.1:8088" desc:"The starter's front door, for webhooks and for connecting locations."`
	Public       BaseURL  `envconfig:"PUBLIC_URL" needed:"serve" when:"GHL_CLIENT_ID" unless:"GHL_REDIRECT_URL" desc:"Address under which the front door is reached from outside, such as https://tally.example.com: HighLevel sends webhooks and browsers there."`
	Metrics      Address  `envconfig:"METRICS_ADDRESS" default:"127.0.0.1:9090" desc:"Prometheus metrics at /metrics, or off. The starter's own default is 127.0.0.1:9091, so that both may run on one machine."`
	CodecOrigins []string `envconfig:"CODEC_ORIGINS" default:"http://127.0.0.1:8233,http://localhost:8233" desc:"Addresses of the Temporal web UI that may ask the starter to decrypt payloads for display."`
}

// GHL is how HighLevel is reached.
type GHL struct {
	BaseURL              BaseURL     `envconfig:"GHL_BASE_URL" default:"https://services.leadconnectorhq.com" desc:"HighLevel's API."`
	LocationID           string      `envconfig:"GHL_LOCATION_ID" needed:"worker,serve,check" unless:"GHL_CLIENT_ID" desc:"The location (sub-account) whose orders are brought into Sage. More are connected with starter connect."`
	PrivateToken         secret.Text `envconfig:"GHL_PRIVATE_TOKEN" own:"true" needed:"worker,check" unless:"GHL_CLIENT_ID" desc:"Private integration token of that location, with the scopes to read orders, transactions, invoices and contacts."`
	ClientID             string      `envconfig:"GHL_CLIENT_ID" desc:"Client id of your app in HighLevel's marketplace: connects any number of locations by click, and brings their webhooks."`
	ClientSecret         secret.Text `envconfig:"GHL_CLIENT_SECRET" needed:"worker,serve,check" when:"GHL_CLIENT_ID" desc:"Client secret of the app."`
	AuthorizeURL         LinkURL     `envconfig:"GHL_AUTHORIZE_URL" default:"https://marketplace.gohighlevel.com/v2/oauth/chooselocation" desc:"Where a user chooses the location to connect. Copy the installation link from the app's Auth page; what it says of client, scopes and redirect is replaced. White-label agencies have marketplace.leadconnectorhq.com."`
	TokenURL             LinkURL     `envconfig:"GHL_TOKEN_URL" desc:"Where tokens are had; unset is /oauth/token of GHL_BASE_URL."`
	RedirectURL          LinkURL     `envconfig:"GHL_REDIRECT_URL" desc:"Where HighLevel sends the user back to, as set in the app; unset is /oauth/ghl/callback of PUBLIC_URL."`
	Scopes               Scopes      `envconfig:"GHL_SCOPES" desc:"Scopes to ask for, separated by blanks or commas; each must be ticked in the app, or HighLevel refuses the installation. Unset asks for those that starter check explains."`
	WebhookPublicKeys    PublicKeys  `envconfig:"GHL_WEBHOOK_PUBLIC_KEYS" default:"-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=\\n-----END PUBLIC KEY-----" desc:"Ed25519 keys that webhooks are signed with, as PEM; several one after the other while HighLevel rotates. Line breaks may be written as \\n. The default is the key HighLevel publishes."`
	RequestsPer10Seconds int         `envconfig:"GHL_REQUESTS_PER_10_SECONDS" default:"95" desc:"Calls per location in 10 seconds of all workers together. HighLevel allows 100."`
}

// Sage is how Sage is reached and what its tenant calls things.
type Sage struct {
	BaseURL           BaseURL           `envconfig:"SAGE_BASE_URL" own:"true" default:"https://api.forcemanager.com/api/v4" desc:"Sage's API."`
	PublicKey         secret.Text       `envconfig:"SAGE_PUBLIC_KEY" own:"true" needed:"worker,check" unless:"GHL_CLIENT_ID" desc:"Public key of the API user."`
	PrivateKey        secret.Text       `envconfig:"SAGE_PRIVATE_KEY" own:"true" needed:"worker,check" unless:"GHL_CLIENT_ID" desc:"Private key of the API user."`
	RequestsPerSecond float64           `envconfig:"SAGE_REQUESTS_PER_SECOND" own:"true" default:"3" desc:"Calls per second and tenant of all workers together, decimals allowed. Sage allows 4 or 13, depending on the plan."`
	BranchID          int64             `envconfig:"SAGE_BRANCH_ID" own:"true" desc:"Branch of new records. Needed only where the tenant has several; starter check lists them."`
	SalesRepID        int64             `envconfig:"SAGE_SALES_REP_ID" own:"true" desc:"User who owns new records. Needed only where there is more than one choice."`
	StatusOpen        int64             `envconfig:"SAGE_ORDER_STATUS_OPEN" own:"true" desc:"Status of an order that is not fully paid. Needed only where there is more than one choice."`
	StatusWon         int64             `envconfig:"SAGE_ORDER_STATUS_WON" own:"true" desc:"Status of a paid order. Needed only where there is more than one choice."`
	StatusRefunded    int64             `envconfig:"SAGE_ORDER_STATUS_REFUNDED" own:"true" desc:"Status of a fully refunded order. Unset leaves the status as it is."`
	TaxProductID      int64             `envconfig:"SAGE_TAX_PRODUCT_ID" own:"true" desc:"Product of the lines that carry tax. Unset makes one."`
	ShippingProductID int64             `envconfig:"SAGE_SHIPPING_PRODUCT_ID" own:"true" desc:"Product of the lines that carry shipping. Unset makes one."`
	ExtraFieldPrefix  string            `envconfig:"SAGE_EXTRA_FIELD_PREFIX" own:"true" default:"Z_" desc:"What the names of the extra fields on sales orders begin with."`
	ExtraFields       map[string]string `envconfig:"SAGE_EXTRA_FIELDS" own:"true" desc:"Extra fields with names of their own: PaymentStatus:Z_Paid,PaidAt:Z_When. The names before the colon are those of the documentation, without prefix."`
	DefaultFields     DefaultFields     `envconfig:"SAGE_DEFAULT_FIELDS" own:"true" desc:"Fields that the tenant demands on new records, as JSON by resource (accounts, contacts, products, salesorders, opportunities, activities, calendar): {\"accounts\":{\"Z_Region\":\"EU\"}}."`
	SettleDelay       time.Duration     `envconfig:"SAGE_SETTLE_DELAY" own:"true" default:"5s" desc:"How long a write whose outcome is unknown is given before it is looked for."`
}

// Orders says how orders are treated where more than one way is right.
type Orders struct {
	MatchOpenWithin time.Duration `envconfig:"MATCH_OPEN_ORDERS_WITHIN" own:"true" default:"0s" desc:"Adopt the one open order that people made for the same account, currency and total within so long of the sale. 0s never does."`
	AdoptedLines    AdoptedLines  `envconfig:"ADOPTED_LINES" own:"true" default:"keep" desc:"The lines of an adopted order: keep leaves those that people made, replace puts those of the sale in their place."`
	TestOrders      TestOrders    `envconfig:"TEST_ORDERS" own:"true" default:"drop" desc:"Orders of HighLevel's test mode: drop leaves them out; only brings in nothing else, for a rehearsal with a Sage tenant of its own."`
	ReadOnly        bool          `envconfig:"READ_ONLY" default:"false" desc:"Plan and show every write to a vendor, and send none."`
}

// Shipping says how the shipping of an order is followed from one side to the other.
type Shipping struct {
	On                  bool              `envconfig:"FULFILLMENTS" own:"true" default:"true" desc:"Follow the shipping of each order on both sides. Off leaves the fulfilment fields of Sage and the fulfilments of HighLevel alone."`
	WithoutTracking     UntrackedShipment `envconfig:"FULFILLMENT_WITHOUT_TRACKING" own:"true" default:"processing" desc:"What a fulfilment of HighLevel without a tracking number means: processing or shipped."`
	PostWithoutTracking bool              `envconfig:"FULFILLMENT_POST_WITHOUT_TRACKING" own:"true" default:"false" desc:"Make the fulfilment in HighLevel as soon as somebody in Sage sets an order to shipped, even if no tracking number stands beside it. Otherwise it waits for one."`
	NotifyCustomer      bool              `envconfig:"FULFILLMENT_NOTIFY_CUSTOMER" own:"true" default:"true" desc:"Have HighLevel write to the customer of each fulfilment that is made from Sage."`
	Digital             DigitalOrders     `envconfig:"DIGITAL_ORDERS" own:"true" default:"deliver" desc:"Orders without any physical product: deliver takes them as delivered once they are paid, ship treats them like all others."`
	Cancelled           []string          `envconfig:"GHL_CANCELLED_STATUSES" own:"true" default:"cancelled,canceled" desc:"Words of HighLevel for the status of an order that is cancelled, separated by commas; it publishes none."`
	Settle              time.Duration     `envconfig:"GHL_SETTLE_DELAY" own:"true" default:"1m" desc:"How long a fulfilment whose making got no answer is looked for before it is made once more. Each one may write to the customer."`
	Verify              VerifiedShipments `envconfig:"FULFILLMENT_VERIFY" own:"true" default:"partial" desc:"Which open orders have their fulfilments listed again every FULFILLMENT_VERIFY_INTERVAL, one call each, in case HighLevel's list of orders does not show a change: partial those of which a part has been sent, open all, off none."`
	Activities          bool              `envconfig:"SAGE_ACTIVITIES" own:"true" default:"true" desc:"Enter each step of an order's shipping as an activity on the account in Sage."`
	ActivityType        int64             `envconfig:"SAGE_ACTIVITY_TYPE_ID" own:"true" desc:"Type of these activities. Needed only where the tenant has several; starter check lists them."`
	Tasks               bool              `envconfig:"SAGE_TASKS" own:"true" default:"false" desc:"Put a task into the Sage calendar of the order's owner for each step of its shipping."`
	TaskType            int64             `envconfig:"SAGE_TASK_TYPE_ID" own:"true" desc:"Type of these tasks. Unset takes that of the activities."`
	HookToken           secret.Text       `envconfig:"SAGE_HOOK_TOKEN" desc:"Makes the front door take Sage's hooks at /webhooks/sage/{token}: at least 16 letters and digits, such as openssl rand -hex 24 makes. A hook makes a change in Sage known at once; without one the sweep finds it."`
	DeliverySecret      secret.Text       `envconfig:"DELIVERY_WEBHOOK_SECRET" desc:"Makes the front door take news of deliveries at /webhooks/delivery, signed with this secret: at least 16 characters."`
}

// Sync says when the sweeps run. A sweep finds what no webhook told of.
type Sync struct {
	Interval     time.Duration `envconfig:"SYNC_INTERVAL" default:"5m" desc:"Time between two sweeps over recent payments."`
	Overlap      time.Duration `envconfig:"SYNC_OVERLAP" default:"2h" desc:"How far a sweep looks back behind the one before, for payments that HighLevel lists late."`
	DeepInterval time.Duration `envconfig:"DEEP_SYNC_INTERVAL" default:"24h" desc:"Time between two sweeps over everything within REFUND_WINDOW, for refunds of older payments."`
	From         Moment        `envconfig:"SYNC_FROM" desc:"When the books begin, as YYYY-MM-DD or RFC 3339: sweeps leave older payments alone unless their order is in the books already. Unset begins them SYNC_OVERLAP before the first sweep."`
	RefundWindow time.Duration `envconfig:"REFUND_WINDOW" default:"4320h" desc:"How old a payment may be for its refund still to be found without a webhook."`

	Fulfillments      time.Duration `envconfig:"FULFILLMENT_SYNC_INTERVAL" default:"15m" desc:"Time between two sweeps over the shipping of open orders, on both sides."`
	FulfillmentVerify time.Duration `envconfig:"FULFILLMENT_VERIFY_INTERVAL" default:"24h" desc:"Time after which the fulfilments of an order are listed again, see FULFILLMENT_VERIFY."`
	FulfillmentWindow time.Duration `envconfig:"FULFILLMENT_WINDOW" default:"2160h" desc:"How long after its payment the shipping of an order is followed by the sweeps."`

	Reconcile             bool          `envconfig:"RECONCILE" default:"true" desc:"Compare what both sides hold of payments, refunds, subscriptions and orders, and bring into Sage what it lacks. false leaves that to starter sync subscriptions and starter backfill."`
	ReconcileInterval     time.Duration `envconfig:"RECONCILE_INTERVAL" default:"1h" desc:"Time between two reconciliations of what changed lately."`
	ReconcileOverlap      time.Duration `envconfig:"RECONCILE_OVERLAP" default:"2h" desc:"How far a reconciliation looks back behind the one before, for payments that HighLevel lists late."`
	ReconcileDeepInterval time.Duration `envconfig:"RECONCILE_DEEP_INTERVAL" default:"24h" desc:"Time between two reconciliations of everything within REFUND_WINDOW."`
}

// Books says how payments and subscriptions are entered in Sage, and how what both sides hold is compared.
type Books struct {
	Rows          bool            `envconfig:"SALES_ROWS" own:"true" default:"true" desc:"Enter each payment as a row of Sage's booked sales (/sales)."`
	Refunds       RefundRows      `envconfig:"SALES_REFUNDS" own:"true" default:"negative" desc:"How refunds are entered: negative as rows below 0, activity as activities on the account for tenants that take no such rows, skip not at all."`
	Foreign       ForeignPayments `envconfig:"SALES_FOREIGN" own:"true" default:"skip" desc:"Payments in another currency than the rows, which name none: skip keeps them out of Sage, activity tells of them in activities on the account. They are never summed with the others."`
	Currency      string          `envconfig:"SALES_CURRENCY" own:"true" desc:"Currency of the rows, such as EUR. Needed only where the branch in Sage has none and the tenant has several."`
	SalesRepExtID string          `envconfig:"SALES_REP_EXT_ID" own:"true" desc:"External id of the user who owns the rows. Unset takes the one that the user has in Sage, or else the user's number."`
	RenewalOrders bool            `envconfig:"RENEWAL_ORDERS" own:"true" default:"false" desc:"Give each payment that has no order in HighLevel, such as a renewal, an order of its own in Sage."`
	StatusOpen    int64           `envconfig:"SAGE_OPPORTUNITY_STATUS_OPEN" own:"true" desc:"Status of the opportunity of a subscription that has not begun. Needed only where there is more than one choice."`
	StatusWon     int64           `envconfig:"SAGE_OPPORTUNITY_STATUS_WON" own:"true" desc:"Status of the opportunity of a subscription that runs. Needed only where there is more than one choice."`
	StatusLost    int64           `envconfig:"SAGE_OPPORTUNITY_STATUS_LOST" own:"true" desc:"Status of the opportunity of a subscription that has ended. Needed only where there is more than one choice."`
	Probability   int64           `envconfig:"SAGE_OPPORTUNITY_PROBABILITY" own:"true" default:"5" desc:"Sales probability of new opportunities, from 0 to 10."`
	Report        RevenueReports  `envconfig:"REVENUE_REPORT" own:"true" default:"off" desc:"Put the revenue report of each month into Sage: activity as an activity on REVENUE_REPORT_ACCOUNT, set right when figures change later; off not at all."`
	ReportAccount int64           `envconfig:"REVENUE_REPORT_ACCOUNT" own:"true" desc:"Id of the account in Sage on which the revenue reports are put, such as one for your own company."`
	ReportDay     int             `envconfig:"REVENUE_REPORT_DAY" own:"true" default:"2" desc:"Day of the month, in UTC, from which on the report of the month before is put into Sage, from 1 to 28."`

	DifferenceAge time.Duration `envconfig:"DIFFERENCE_AGE" default:"30m" desc:"How old a difference between HighLevel and Sage may become before it counts as one. Until then it is in flight. 0s counts it at once."`
}

// Telling says what people are told of, and in which words.
type Telling struct {
	// The address of an incoming webhook is its only credential.
	WebhookURL WebhookURL `envconfig:"NOTIFY_WEBHOOK_URL" desc:"Incoming webhook, as Slack and others have them, by which the operator is told when somebody must act, and teams what becomes of orders. Unset leaves it to the log."`
	Steps      Steps      `envconfig:"NOTIFY_STEPS" default:"processing,shipped,delivered,cancelled" desc:"Steps of an order's shipping that teams are told of, separated by commas; none for none."`
	Templates  string     `envconfig:"NOTIFY_TEMPLATES" desc:"File with the texts for teams and for Sage, see docs/fulfillment.md. Unset takes the texts that come with Tallystick."`
	GHLOrder   string     `envconfig:"LINK_GHL_ORDER" desc:"Address of an order's page in HighLevel, such as the browser shows, with {location} and {order} in their places. Other places are {sageOrder}, {namespace} and {workflow}."`
	SageOrder  string     `envconfig:"LINK_SAGE_ORDER" desc:"Address of an order's page in Sage, with {sageOrder} for its id."`
	Workflow   string     `envconfig:"LINK_WORKFLOW" default:"http://localhost:8233/namespaces/{namespace}/workflows/{workflow}" desc:"Address of a workflow's page in the Temporal web UI."`
}

// Watchdog says when operators are told that something does not work.
type Watchdog struct {
	Interval     time.Duration `envconfig:"WATCHDOG_INTERVAL" default:"5m" desc:"Time between two looks whether everything works: sweeps, queues, parked items, schedules, tokens. On Temporal Cloud each look costs four billable actions. 0s switches the watchdog off."`
	Grace        time.Duration `envconfig:"WATCHDOG_GRACE" default:"5m" desc:"How long something must be wrong before operators are told of it, and well before they are told that it is over."`
	Remind       time.Duration `envconfig:"WATCHDOG_REMIND" default:"24h" desc:"Time after which operators are told again of what is still wrong. 0s never does."`
	MissedSweeps int           `envconfig:"WATCHDOG_MISSED_SWEEPS" default:"3" desc:"How many intervals of a sweep may pass without one that succeeds."`
	QueueAge     time.Duration `envconfig:"WATCHDOG_QUEUE_AGE" default:"15m" desc:"How long urgent work, such as that of a webhook, may wait for a worker."`
	ParkedAge    time.Duration `envconfig:"WATCHDOG_PARKED_AGE" default:"1h" desc:"How long an item may be parked that is tried again by itself. Of one that waits for a person operators are told after WATCHDOG_GRACE."`
	QuotaLeft    int           `envconfig:"WATCHDOG_QUOTA_LEFT" default:"10" desc:"Per cent of HighLevel's calls of a day of which operators are told when fewer are left to a location. 0 never does."`
}

// Process says how much a process takes on at once.
type Process struct {
	ConcurrentWorkflows int           `envconfig:"WORKER_CONCURRENT_WORKFLOWS" default:"100" desc:"Workflow tasks a worker carries out at once."`
	ConcurrentGHL       int           `envconfig:"WORKER_CONCURRENT_GHL" default:"20" desc:"Steps at HighLevel a worker carries out at once."`
	ConcurrentSage      int           `envconfig:"WORKER_CONCURRENT_SAGE" default:"20" desc:"Steps at Sage a worker carries out at once."`
	Pollers             int           `envconfig:"WORKER_POLLERS" default:"4" desc:"Connections per task queue on which a worker waits for work. More help only against a cluster with time to spare."`
	WorkflowCache       int           `envconfig:"WORKER_WORKFLOW_CACHE" default:"2000" desc:"Workflows a worker keeps in memory between their steps."`
	ShutdownTimeout     time.Duration `envconfig:"SHUTDOWN_TIMEOUT" default:"25s" desc:"How long a process that is asked to stop finishes what it has begun."`
}

// Watching says what people get to see.
type Watching struct {
	LogLevel  slog.Level `envconfig:"LOG_LEVEL" default:"info" desc:"How much is logged: debug, info, warn or error. debug shows each call to a vendor."`
	LogFormat LogFormat  `envconfig:"LOG_FORMAT" default:"text" desc:"How log lines look: text or json."`
}

// Reconciliations are the times between two reconciliations of each kind, 0 where they are switched off.
func (s Sync) Reconciliations() (every, deep time.Duration) {
	if !s.Reconcile {
		return 0, 0
	}
	return s.ReconcileInterval, s.ReconcileDeepInterval
}

// OAuthEnabled tells whether locations can be connected through an app of HighLevel's marketplace.
func (g GHL) OAuthEnabled() bool { return g.ClientID != "" }

// TokenEndpoint is where tokens are had.
func (g GHL) TokenEndpoint() string {
	if g.TokenURL != "" {
		return string(g.TokenURL)
	}
	return string(g.BaseURL) + "/oauth/token"
}

// OAuthRedirect is where HighLevel sends a user back to; empty if neither variable that tells is set.
func (c Config) OAuthRedirect() string {
	switch {
	case c.GHL.RedirectURL != "":
		return string(c.GHL.RedirectURL)
	case c.HTTP.Public != "":
		return string(c.HTTP.Public) + "/oauth/ghl/callback"
	}
	return ""
}

// AdminOverHTTP tells whether the parts of the front door that show or change data may be served: with a token, or on
// an address that only this machine reaches.
func (c Config) AdminOverHTTP() bool { return c.Secrets.AdminToken != "" || c.HTTP.Listen.Loopback() }
