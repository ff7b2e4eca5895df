package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// UpdateProduct changes the fields of the mask; without a mask, all but SKU, stock, archived and max_per_customer.
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
			return f == store.ProductArchived || f == store.ProductMaxPerCustomer
		}), nil
	}
	var out []store.ProductField
	for _, path := range mask.GetPaths() {
		f := store.ProductField(path)
		if !slices.Contains(all, f) {
			return nil, fmt.Errorf("updateMask names %q: a product's fields are %v: %w", path, all, order.ErrInvalid)
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
		return nil, fmt.Errorf("product.sku says which product to change: %w", order.ErrInvalid)
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
		return nil, violations(err)
	}
	return m, nil
}

// violations is the answer to a message that breaks its rules, as the edge gives it for whole requests.
func violations(err error) error {
	ce := connect.NewError(connect.CodeInvalidArgument, err)
	if v := new(protovalidate.ValidationError); errors.As(err, &v) {
		return with(ce, v.ToProto())
	}
	return ce
}

func inputOf(p store.Product) *spillwayv1.ProductInput {
	return &spillwayv1.ProductInput{
		Sku: string(p.SKU), Name: p.Name, Description: p.Description, Picture: p.Picture, Price: wire.Money(p.Price), Categories: p.Categories,
		Archived: p.Archived, MaxPerCustomer: proto.Int32(int32(p.MaxPerCustomer)), //nolint:gosec // At most order.MaxQuantity.
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
	}
}

// forSale returns order.ErrFailedPrecondition for a product that is no longer sold.
func forSale(sku order.SKU, archived bool) error {
	if archived {
		return fmt.Errorf("product %s is archived: it is no longer sold: %w", sku, order.ErrFailedPrecondition)
	}
	return nil
}
