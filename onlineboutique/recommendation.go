package onlineboutique

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/spillway/spillway/gen/hipstershop"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

const (
	// maxRecommendations is the maximum number of proposals; a page shows four.
	maxRecommendations = 5
	// maxCategories bounds the categories that are looked through.
	maxCategories = 5
	// maxCandidates is the maximum number of products that are looked at in a category, or in the whole catalogue.
	maxCandidates = pageSize
)

// recommendations is the RecommendationService.
type recommendations struct{ Shop }

// ListRecommendations proposes products of the same categories, and others if these are too few.
func (r recommendations) ListRecommendations(
	ctx context.Context, req *hipstershop.ListRecommendationsRequest,
) (*hipstershop.ListRecommendationsResponse, error) {
	given := slices.Clone(req.GetProductIds()[:min(len(req.GetProductIds()), pageSize)])
	slices.Sort(given)
	given = slices.DeleteFunc(slices.Compact(given), func(id string) bool { return id == "" })
	p := proposals{without: r.inCart(ctx, req.GetUserId())}
	for _, id := range req.GetProductIds() {
		p.without[id] = true
	}
	for _, category := range append(r.categories(ctx, given), "") { // The last one is the whole catalogue.
		if len(p.ids) >= maxRecommendations {
			break
		}
		found, err := r.list(ctx, category, maxCandidates)
		if err != nil {
			return nil, err
		}
		p.add(slices.DeleteFunc(found, func(p *spillwayv1.Product) bool { return !r.canBeBought(p) }))
	}
	return &hipstershop.ListRecommendationsResponse{ProductIds: p.ids}, nil
}

// proposals are products to propose, each once.
type proposals struct {
	ids     []string
	without map[string]bool
}

// add adds some of the products, at random.
func (p *proposals) add(found []*spillwayv1.Product) {
	for _, i := range rand.Perm(len(found)) {
		id := found[i].GetSku()
		if len(p.ids) < maxRecommendations && !p.without[id] {
			p.without[id] = true
			p.ids = append(p.ids, id)
		}
	}
}

// inCart returns what the user has in the cart; nothing if the cart cannot be read, because proposals are no reason to fail.
func (r recommendations) inCart(ctx context.Context, userID string) map[string]bool {
	out := map[string]bool{}
	ctx, err := as(ctx, userID)
	if err != nil {
		return out
	}
	resp, err := r.Cart.GetCart(ctx, &spillwayv1.GetCartRequest{})
	if err != nil {
		return out
	}
	for _, item := range resp.GetCart().GetItems() {
		out[item.GetSku()] = true
	}
	return out
}

// categories returns the categories of the products, each once.
func (r recommendations) categories(ctx context.Context, ids []string) (out []string) {
	if len(ids) == 0 {
		return nil
	}
	resp, err := call(ctx, r.Catalog.GetProducts, &spillwayv1.GetProductsRequest{Skus: ids})
	if err != nil {
		return nil // The whole catalogue is proposed from.
	}
	for _, p := range resp.GetProducts() {
		for _, category := range p.GetCategories() {
			if !slices.Contains(out, category) && len(out) < maxCategories {
				out = append(out, category)
			}
		}
	}
	return out
}
