package catalog

import (
	_ "embed" // The catalogue is part of the program.
	"encoding/json"
	"fmt"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

//go:embed seed.json
var seedJSON []byte

// seedProduct is a product in seed.json; prices are in US cents.
type seedProduct struct {
	SKU         order.SKU   `json:"sku"`
	Name        string      `json:"name"`
	Description string      `json:"description"`
	Picture     string      `json:"picture"`
	PriceCents  order.Cents `json:"price_cents"`
	Categories  []string    `json:"categories"`
	Stock       int64       `json:"stock"`
}

// Seed returns the demonstration catalogue.
func Seed() ([]store.Product, error) {
	var seeds []seedProduct
	if err := json.Unmarshal(seedJSON, &seeds); err != nil {
		return nil, fmt.Errorf("seed.json: %w", err)
	}
	out := make([]store.Product, len(seeds))
	for i, s := range seeds {
		out[i] = store.Product{
			SKU: s.SKU, Name: s.Name, Description: s.Description, Picture: s.Picture, Categories: s.Categories, Stock: s.Stock,
			MaxPerCustomer: order.DefaultMaxPerCustomer,
			Price:          order.Money{Currency: "USD", Amount: s.PriceCents},
		}
	}
	return out, nil
}
