package webhook

import (
	"maps"
	"strings"
)

// kind is what the events of a name are about.
type kind int

const (
	unknownEvent kind = iota
	orderEvent
	invoiceEvent
	installEvent
	uninstallEvent
	ignoredEvent
)

// The events that can mean that money has moved. The names are those of HighLevel's webhook pages, where each is a page
// of its own, and stand at the end of the path (A25).
var moneyEvents = map[string]kind{
	"OrderCreate":          orderEvent,
	"OrderStatusUpdate":    orderEvent,
	"InvoicePaid":          invoiceEvent,
	"InvoicePartiallyPaid": invoiceEvent,
	"InvoiceUpdate":        invoiceEvent,
	"InvoiceVoid":          invoiceEvent,
}

// The events by which a location or an agency comes and goes. HighLevel sends them to the app's default address only (A92); the
// names in capitals are the values of "type", the others those of the pages.
var appEvents = map[string]kind{
	"INSTALL": installEvent, "AppInstall": installEvent,
	"UNINSTALL": uninstallEvent, "AppUninstall": uninstallEvent,
}

// otherEvents are the other names that HighLevel publishes. They are answered 200, so that an app that subscribes to more
// than it needs shows no failures in HighLevel's log. ConversationUnreadUpdate is the value of "type" where it differs
// from the name of the page.
const otherEvents = `
	AppUpdate AppPaymentStatus ExternalAuthConnected PlanChange SaaSPlanCreate
	AppointmentCreate AppointmentUpdate AppointmentDelete
	AssociationCreate AssociationUpdate AssociationDelete RelationCreate RelationDelete
	ObjectSchemaCreate ObjectSchemaUpdate RecordCreate RecordUpdate RecordDelete
	CampaignStatusUpdate LCEmailStats VoiceAiCallEnd
	ContactCreate ContactUpdate ContactDelete ContactDndUpdate ContactTagUpdate
	ConversationUnreadWebhook ConversationUnreadUpdate ConversationUpdate
	InboundMessage OutboundMessage ProviderOutboundMessage
	InvoiceCreate InvoiceSent InvoiceDelete
	LocationCreate LocationUpdate UserCreate UserUpdate UserDelete
	NoteCreate NoteUpdate NoteDelete TaskCreate TaskComplete TaskDelete
	OpportunityCreate OpportunityUpdate OpportunityDelete OpportunityAssignedToUpdate
	OpportunityMonetaryValueUpdate OpportunityStageUpdate OpportunityStatusUpdate
	ProductCreate ProductUpdate ProductDelete PriceCreate PriceUpdate PriceDelete`

var published = func() map[string]kind {
	all := make(map[string]kind, 80)
	for _, name := range strings.Fields(otherEvents) {
		all[name] = ignoredEvent
	}
	maps.Copy(all, moneyEvents)
	maps.Copy(all, appEvents)
	return all
}()
