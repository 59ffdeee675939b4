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
	system   bool // set by the server, ignored in writes
	index    bool // looked up without reading every row
}

// resource describes one resource; name is its path as the vendor writes it.
type resource struct {
	name   string
	fields []field
	label  []string // the fields shown as the value of a reference to it
	noAPI  bool     // cannot be created, changed or deleted by the API
	extra  bool     // can have extra fields
}

func text(name string, maxLength int) field { return field{name: name, typ: typeText, max: maxLength} }
func number(name string) field              { return field{name: name, typ: typeDecimal} }
func integer(name string) field             { return field{name: name, typ: typeInteger} }
func flag(name string) field                { return field{name: name, typ: typeBool} }
func date(name string) field                { return field{name: name, typ: typeDate} }
func ref(name, table string) field          { return field{name: name, typ: typeRef, table: table} }

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
			ref("currencyId", "currencies"), integer("accountAddressId"), integer("opportunityId"), integer("rateId"),
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
