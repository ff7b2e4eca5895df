package onlineboutique

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/spillway/spillway/gen/hipstershop"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/wire"
)

// maxAds is the maximum number of ads on a page.
const maxAds = 2

// ad is a line about a product.
type ad struct{ category, sku, text string }

// adTable is all ads.
var adTable = []ad{
	{"accessories", "OLJCESPC7Z", "The sun comes at an angle. Sunglasses for the way home."},
	{"accessories", "1YMWWN1N4O", "A watch with hands, and nothing to charge."},
	{"clothing", "66VCHSJNUP", "Tank tops that dry while you have coffee."},
	{"clothing", "RC3PD1TF0M", "Rain coats for people who go out anyway."},
	{"tops", "66VCHSJNUP", "Tank tops that dry while you have coffee."},
	{"footwear", "L9ECAV7KIM", "Loafers: shoes without homework."},
	{"footwear", "SN7QF5YG1N", "White sneakers. They do not stay white, and get better."},
	{"hair", "2ZYFJ3GM2N", "A hairdryer that lets you hear the radio."},
	{"beauty", "2ZYFJ3GM2N", "A hairdryer that lets you hear the radio."},
	{"decor", "0PUK6V6EV0", "One candle holder, and the table is laid."},
	{"decor", "BL5YP3DC5S", "Beeswax candles: eight hours of evening."},
	{"home", "WL8TY2JK4E", "A blanket for two, or for one who feels the cold."},
	{"home", "LM6HE3WD7H", "A desk lamp that stays where you put it."},
	{"kitchen", "LS4PSXUNUM", "Salt left, pepper right. Shakers that know."},
	{"kitchen", "9SIQT8TOJO", "Jars that seal, for all that goes stale."},
	{"kitchen", "6E92ZMYYFZ", "A mug that holds the whole morning."},
	{"stationery", "NB5XC6QH5F", "Two hundred pages, all numbered."},
	{"travel", "BP2KJ4NA8J", "A backpack that has seen rain and kept quiet."},
	{"garden", "PV4SH9CE2P", "Pots with a saucer: the shelf stays dry."},
}

// ads is the AdService.
type ads struct{ Shop }

// GetAds returns ads of the categories, without products that cannot be bought now.
func (a ads) GetAds(ctx context.Context, req *hipstershop.AdRequest) (*hipstershop.AdResponse, error) {
	buyable := a.buyable(ctx)
	fits := slices.DeleteFunc(slices.Clone(buyable), func(x ad) bool { return !slices.Contains(req.GetContextKeys(), x.category) })
	if len(fits) == 0 {
		fits = buyable
	}
	rand.Shuffle(len(fits), func(i, j int) { fits[i], fits[j] = fits[j], fits[i] })
	out := &hipstershop.AdResponse{}
	shown := map[string]bool{}
	for _, x := range fits {
		if !shown[x.sku] && len(out.Ads) < maxAds {
			shown[x.sku] = true
			out.Ads = append(out.Ads, &hipstershop.Ad{RedirectUrl: "/product/" + x.sku, Text: x.text})
		}
	}
	return out, nil
}

// buyable returns the ads of products that can be bought; all of them if the catalogue cannot be read, because a page needs no ads.
func (a ads) buyable(ctx context.Context) []ad {
	var skus []string
	for _, x := range adTable {
		if !slices.Contains(skus, x.sku) {
			skus = append(skus, x.sku)
		}
	}
	resp, err := call(ctx, a.Catalog.GetProducts, &spillwayv1.GetProductsRequest{Skus: skus})
	if err != nil {
		return slices.Clone(adTable)
	}
	left := make(map[string]bool, len(skus))
	for _, p := range resp.GetProducts() {
		left[p.GetSku()] = a.canBeBought(p)
	}
	return slices.DeleteFunc(slices.Clone(adTable), func(x ad) bool { return !left[x.sku] })
}

// canBeBought reports whether an order of the product would be taken now.
func (s Shop) canBeBought(p *spillwayv1.Product) bool {
	return p.GetAvailable() > 0 && !p.GetArchived() && !wire.FromTime(p.GetSaleStartTime()).After(s.Now())
}
