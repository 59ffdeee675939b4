package sage

// fieldType is how a field is written and read.
type fieldType int

const (
	typeText fieldType = iota
	typeInteger
	typeQuantity // int32: no fractions
	typeDecimal
	typeBool
	typeDate
	typeDay  // a date of the calendar: without time of day, and read in a form of its own
	typeRef  // written as an integer, read as {id, value}
	typeList // an extra field's choice: written as its id, read as {id, value}
)

// field is one field of a resource.
type field struct {
	name     string // as it is read; writes match it without regard to case
	key      string // the name in lower case
	typ      fieldType
	max      int      // longest text in characters
	table    string   // the resource a reference points to
	choices  []string // of a list, numbered from 1
	required bool
	layouts  []string // the forms a day may be written in
	system   bool     // set by the server, ignored in writes
	index    bool     // looked up without reading every row
}

// resource describes one resource; name is its path as the vendor writes it.
type resource struct {
	name   string
	fields []field
	label  []string // the fields shown as the value of a reference to it
	noAPI  bool     // cannot be created, changed or deleted by the API
	extra  bool     // can have extra fields
	// zeroOne shows deleted as 0 or 1, as the sample of /sales does.
	zeroOne bool
}

func text(name string, maxLength int) field { return field{name: name, typ: typeText, max: maxLength} }
func number(name string) field              { return field{name: name, typ: typeDecimal} }
func integer(name string) field             { return field{name: name, typ: typeInteger} }
func flag(name string) field                { return field{name: name, typ: typeBool} }
func date(name string) field                { return field{name: name, typ: typeDate} }
func day(name string) field {
	return field{name: name, typ: typeDay, layouts: append([]string{shownDay}, writtenDates...)}
}
func ref(name, table string) field { return field{name: name, typ: typeRef, table: table} }

func must(f field) field    { f.required = true; return f }
func indexed(f field) field { f.index = true; return f }

// extID is the cross-system key. Its length is not documented for these resources (A65); the /sales schema shows 255.
func extID() field { return indexed(text("extId", 255)) }

func texts(maxLength int, names ...string) []field {
	out := make([]field, len(names))
	for i, n := range names {
		out[i] = text(n, maxLength)
	}
	return out
}

func numbers(names ...string) []field {
	out := make([]field, len(names))
	for i, n := range names {
		out[i] = number(n)
	}
	return out
}

func join(parts ...[]field) []field {
	var out []field
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

var descriptions = texts(50, "descriptionES", "descriptionUS", "descriptionFR", "descriptionDE", "descriptionIT",
	"descriptionPT", "descriptionBR", "descriptionRU", "descriptionDK")

func valueList(name string, more ...field) resource {
	return resource{name: name, label: []string{"descriptionEN"},
		fields: join([]field{must(indexed(text("descriptionEN", 50)))}, descriptions, more)}
}

// resources lists what the server serves. Required fields are the union of what the vendor's endpoint pages and its
// connector name, so that a client which satisfies this server satisfies either.
func resources() []resource {
	return []resource{
		accounts(), contacts(), products(), salesOrders(), salesOrderLines(),
		valueList("salesorderStatuses", flag("won"), flag("lost"), integer("order")),
		valueList("accountTypes"), valueList("accountStatuses"), valueList("accountSegments"), valueList("contactTypes"),
		valueList("orderTypes"), valueList("opportunityTypes"), valueList("activityTypes"),
		valueList("productCategories"), valueList("productFamilies"),
		{name: "currencies", noAPI: true, label: []string{"isoCode"},
			fields: []field{indexed(text("isoCode", 3)), text("symbol", 10), text("descriptionEN", 50)}},
		{name: "countries", noAPI: true, label: []string{"strName"},
			fields: []field{indexed(text("iso2", 2)), text("strName", 100)}},
		{name: "branches", noAPI: true, label: []string{"name"}, fields: []field{text("name", 100),
			ref("currencyId", "currencies"), integer("timeZoneId"), flag("default"), flag("mainEnvironment")}},
		{name: "users", noAPI: true, extra: true, label: []string{"name", "lastName"}, fields: []field{extID(),
			text("name", 100), text("lastName", 100), indexed(text("email", 100)), flag("isActive"), integer("level")}},
		// New ones at the end: the first id of a resource comes from its place.
		activities(), calendar(), opportunities(), sales(),
		valueList("opportunityStatuses", integer("won"), flag("endStatus"), integer("order"), integer("idParent"),
			integer("salesProbability")),
	}
}

func accounts() resource {
	return resource{name: "accounts", extra: true, label: []string{"name"}, fields: join(
		[]field{extID(), must(indexed(text("name", 200))), must(ref("branchId", "branches")),
			must(ref("salesRepId1", "users"))},
		[]field{ref("salesRepId2", "users"), ref("salesRepId3", "users"), ref("salesRepId4", "users"),
			ref("salesRepId5", "users"), ref("typeId", "accountTypes"), ref("statusId", "accountStatuses"),
			ref("segmentId", "accountSegments"), ref("countryId", "countries"), indexed(text("email", 100)),
			text("website", 200), text("vatNumber", 50), text("comment", 6000)},
		texts(50, "phone", "phone2", "phone3"), texts(180, "address1", "address2"), texts(200, "city", "region"),
		[]field{text("postcode", 50), integer("permissionLevel"), flag("public"), flag("readOnly")})}
}

func contacts() resource {
	return resource{name: "contacts", extra: true, label: []string{"firstName", "lastName"}, fields: join(
		[]field{extID(), must(indexed(ref("accountId", "accounts"))), must(text("firstName", 100)),
			must(text("lastName", 100)), must(ref("salesRepId", "users")), ref("typeId", "contactTypes"),
			indexed(text("email", 100))},
		texts(100, "email2", "email3"), texts(50, "phone1", "phone2"), texts(180, "address1", "address2"),
		texts(200, "city", "region"),
		[]field{text("postcode", 50), ref("countryId", "countries"), integer("gender"), text("comment", 6000),
			flag("marketingCommunications"), flag("useCompanyAddress"), flag("readOnly")})}
}

func products() resource {
	return resource{name: "products", extra: true, label: []string{"model"}, fields: join(
		[]field{extID(), must(indexed(text("model", 200))), text("description", 4000),
			ref("categoryId", "productCategories"), ref("familyId", "productFamilies"), integer("stock"),
			integer("permissionLevel"), flag("notAvailable"), flag("readOnly")},
		numbers("price", "cost", "maxDiscount"))}
}

func salesOrders() resource {
	return resource{name: "salesorders", extra: true, label: []string{"reference"}, fields: join(
		[]field{extID(), must(indexed(text("reference", 100))), must(ref("branchId", "branches")),
			must(ref("salesRepId", "users")), must(ref("statusId", "salesorderStatuses")),
			indexed(ref("accountId", "accounts")), indexed(ref("contactId", "contacts")),
			ref("currencyId", "currencies"), integer("accountAddressId"), ref("opportunityId", "opportunities"),
			integer("rateId"),
			ref("typeId", "orderTypes"), integer("number"), integer("year"), text("comment", 6000),
			text("internalComment", 6000), date("closedDate"),
			// The vendor's own spelling, in requests and in answers.
			date("salesForcecastDate"),
			integer("mainSalesorder"), flag("archived"), flag("blocked"), flag("readOnly")},
		numbers("total", "discount1", "discount2", "discount3", "discount4"))}
}

// salesOrderLines has no extId and takes no extra fields. The link is documented as salesOrderId in requests and comes
// back as salesorderId.
func salesOrderLines() resource {
	return resource{name: "salesordersLines", label: []string{"description"}, fields: join(
		[]field{indexed(ref("salesorderId", "salesorders")), must(indexed(ref("productId", "products"))),
			must(field{name: "quantity", typ: typeQuantity}), must(number("price")), text("description", 2000),
			integer("order")},
		numbers("total", "discount1", "discount2", "discount3", "discount4"))}
}

// activities have an extId in the sample of a read; that it can be written is not documented (A112).
func activities() resource {
	return resource{name: "activities", extra: true, label: []string{"comment"}, fields: []field{
		must(indexed(ref("accountId", "accounts"))), must(ref("typeId", "activityTypes")),
		must(ref("salesRepId", "users")), must(date("date")), ref("contactId", "contacts"),
		ref("opportunityId", "opportunities"), text("comment", 6000), extID(), flag("checkin"), integer("checkinTypeId"),
		date("checkoutDate"), integer("permissionLevel"), flag("readOnly")}}
}

// calendar holds events, and tasks where task is true. No field is documented as required (A113); those an integration
// with a real tenant always sends are asked for, but for what goes without saying.
func calendar() resource {
	return resource{name: "calendar", extra: true, label: []string{"subject"}, fields: []field{
		must(text("subject", 250)), must(ref("typeId", "activityTypes")), must(ref("salesRepId", "users")),
		must(ref("branchId", "branches")), must(day("startDate")), text("startHour", 5), day("endDate"), text("endHour", 5),
		indexed(ref("accountId", "accounts")), ref("contactId", "contacts"), ref("opportunityId", "opportunities"),
		text("comment", 6000), extID(), flag("allDay"), flag("task"), flag("completed"), flag("sendNotification"),
		integer("reminder"), integer("permissionLevel"), flag("readOnly")}}
}

func opportunities() resource {
	return resource{name: "opportunities", extra: true, label: []string{"reference"}, fields: []field{
		extID(), must(indexed(text("reference", 100))), must(ref("salesRepId", "users")),
		must(ref("statusId", "opportunityStatuses")), must(ref("branchId", "branches")), must(integer("salesProbability")),
		indexed(ref("accountId1", "accounts")), ref("accountId2", "accounts"), ref("accountId3", "accounts"), number("total"),
		ref("currencyId", "currencies"), ref("type_id", "opportunityTypes"), date("salesForecastDate"), date("wonDate"),
		date("lostDate"), date("closedDate"), text("comments", 6000), integer("permissionLevel"), flag("readOnly")}}
}

// sales are booked revenue: an amount on a date for an account, without currency, status or order, and without extra
// fields. All six fields of a create are called required; the external ids name account and user once more, and the
// sample of a read shows that a user's that nobody has is kept (A137).
func sales() resource {
	return resource{name: "sales", zeroOne: true, label: []string{"extId"}, fields: []field{
		must(extID()), must(indexed(ref("accountId", "accounts"))), must(text("accountExtId", 255)),
		must(text("salesRepExtId", 255)), must(date("date")), must(number("total")),
		{name: "salesRepId", typ: typeRef, table: "users", system: true}}}
}

// extraFieldDefinitions is the resource behind /extrafields/{resource}.
func extraFieldDefinitions(name string) resource {
	return resource{name: "extrafields/" + name, label: []string{"fieldName"}, fields: join(
		[]field{must(text("entity", 50)), must(indexed(text("fieldName", 100))), must(text("type", 20)),
			text("description", 180), text("defaultValue", 250), flag("required"), integer("length")},
		texts(180, "descriptionEN", "descriptionES", "descriptionUS"))}
}

// audit lists the fields that the server sets on every record of every resource.
func audit() []field {
	system := func(f field) field { f.system = true; return f }
	return []field{
		system(field{name: "id", typ: typeInteger, index: true}),
		system(date("dateCreated")), system(date("dateUpdated")), system(date("dateDeleted")), system(flag("deleted")),
		system(integer("salesRepIdCreated")), system(integer("salesRepIdUpdated")), system(integer("salesRepIdDeleted")),
	}
}
