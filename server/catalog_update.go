package server

import (
	"context"
	"slices"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// UpdateProduct changes the fields of the mask; without a mask, all but SKU, stock and those that are named only in a mask.
func (c Catalog) UpdateProduct(ctx context.Context, req *spillwayv1.UpdateProductRequest) (*spillwayv1.UpdateProductResponse, error) {
	fields, err := maskedFields(req.GetUpdateMask())
	if err != nil {
		return nil, err
	}
	m, err := c.merged(ctx, req, fields)
	if err != nil {
		return nil, err
	}
	p, err := c.input(m)
	if err != nil {
		return nil, err
	}
	if err := c.Products.Update(ctx, p, fields); err != nil {
		return nil, err
	}
	if err := c.Cache.Replaced(ctx, p.SKU); err != nil {
		return nil, err
	}
	updated, err := c.one(ctx, p.SKU, "")
	return &spillwayv1.UpdateProductResponse{Product: updated}, err
}

// maskedFields are the fields that a mask names.
func maskedFields(mask *fieldmaskpb.FieldMask) ([]store.ProductField, error) {
	all := store.ProductFields()
	if len(mask.GetPaths()) == 0 {
		return slices.DeleteFunc(all, func(f store.ProductField) bool {
			return f == store.ProductArchived || f == store.ProductMaxPerCustomer || f == store.ProductSaleStart
		}), nil
	}
	var out []store.ProductField
	for _, path := range mask.GetPaths() {
		f := store.ProductField(path)
		if !slices.Contains(all, f) {
			return nil, invalidField("updateMask", "it names %q: a product's fields are %v", path, all)
		}
		out = append(out, f)
	}
	return out, nil
}

// merged is the product as it will be: the fields of the mask from the request, and the others as they are. So the whole is checked by the
// rules of a new product.
func (c Catalog) merged(ctx context.Context, req *spillwayv1.UpdateProductRequest, fields []store.ProductField) (*spillwayv1.ProductInput, error) {
	in := req.GetProduct()
	if in.GetSku() == "" {
		return nil, invalidField("product.sku", "must be that of the product to change")
	}
	m := proto.CloneOf(in)
	if len(req.GetUpdateMask().GetPaths()) > 0 {
		now, err := c.Cache.Get(ctx, order.SKU(in.GetSku()))
		if err != nil {
			return nil, err
		}
		m = inputOf(now)
		for _, f := range fields {
			copyField(m, in, f)
		}
	}
	if err := protovalidate.Validate(m); err != nil {
		return nil, inField("product", err)
	}
	return m, nil
}

func inputOf(p store.Product) *spillwayv1.ProductInput {
	return &spillwayv1.ProductInput{
		Sku: string(p.SKU), Name: p.Name, Description: p.Description, Picture: p.Picture, Price: wire.Money(p.Price), Categories: p.Categories,
		SaleStartTime: wire.Time(p.SaleStartsAt),
		Archived:      p.Archived, MaxPerCustomer: proto.Int32(int32(p.MaxPerCustomer)), //nolint:gosec // At most order.MaxQuantity.
	}
}

func copyField(to, from *spillwayv1.ProductInput, f store.ProductField) {
	switch f {
	case store.ProductName:
		to.Name = from.GetName()
	case store.ProductDescription:
		to.Description = from.GetDescription()
	case store.ProductPicture:
		to.Picture = from.GetPicture()
	case store.ProductPrice:
		to.Price = from.GetPrice()
	case store.ProductCategories:
		to.Categories = from.GetCategories()
	case store.ProductArchived:
		to.Archived = from.GetArchived()
	case store.ProductMaxPerCustomer:
		to.MaxPerCustomer = from.MaxPerCustomer
	case store.ProductSaleStart:
		to.SaleStartTime = from.GetSaleStartTime()
	}
}

// forSale returns order.ErrFailedPrecondition for a product that is no longer sold.
func forSale(sku order.SKU, archived bool) error {
	if archived {
		return order.Refuse(order.ErrFailedPrecondition, order.ReasonProductArchived, "product %s is archived: it is no longer sold", sku).With(metaSKU, string(sku))
	}
	return nil
}
