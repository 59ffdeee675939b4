package domain

// With is the lifecycle after the news.
func (f Fulfillment) With(news FulfillmentNews, rules FulfillmentRules) (next Fulfillment, ship *ShipmentPlan, steps []FulfillmentStep) {
	return f, nil, nil
}
