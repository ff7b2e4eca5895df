// Package workers is the asynchronous half: what happens to an order after its answer.
//
//	worker        reads                      writes                              bound                     if it dies
//	StockFlusher  journal, from SQL's place  products.stock, stock_dedup_log,    FlushConfig.Batch         the next one reads on from SQL's
//	                                         orders (durability sql)             entries a transaction     place: nothing is applied twice
//	OrderRelay    journal, group "relay",    topic of order events               RelayConfig.Batch         unacknowledged entries are claimed
//	              behind the flusher                                             entries a message         and sent again
//	OrderWriter   topic, group "orders"      orders, order_items, failed_orders  WriterConfig.Rows         the message comes again; rows are
//	                                                                             rows a statement          written once
//	Shipper       topic, group "shipping"    orders.ship_claimed_at, state,      CarrierLimiter: 10 calls at once,   the message comes again; the carrier
//	                                         shipments, due_mails                with the rescuer's        knows the order id
//	ShipRescuer   orders PAID or             the same                            RescueConfig.Orders       the next one reads the same rows when
//	              SHIP_FAILED too long                                           a turn, the same CarrierLimiter     their claims are over
//	Mailer        topic, group "mail"        mails, sent_mails, failed_orders    MailConfig.Concurrency    the message comes again; a mail may be
//	                                                                             calls at once             sent twice
//	MailDispatcher due_mails                 the same, due_mails                 DispatchConfig.Mails      the mail is due again when its lease
//	                                                                             a turn                    ends; it may be sent twice
//	DeadLetterDrain  dead-letter topics      failed_orders                       DrainConfig.Messages      the messages come again; each is one
//	              of all groups, group                                           messages a turn           letter
//	              "dead-letters"
//
//	PaymentReconciler     orders PENDING for     settles and releases in Redis or    recoveryBatch orders      the next look finds the same
//	                      long; PaymentService   SQL, order_cancellations            a look                    orders again
//	CancellationFinisher  order_cancellations    refunds by PaymentService, journal, recoveryBatch a look      each step is idempotent and
//	                                             due_mails                                                     noted: it is repeated
//	RefundRetrier         refunds that are       refunds and charges, by             recoveryBatch a look      each refund is idempotent by
//	                      not confirmed          PaymentService                                                its id: it is repeated
//	OrderRepairer         log, hot orders in     orders, failed_orders, due_mails,   RepairConfig.MaxPages     the next one scans from the
//	                      Redis, orders          TTLs in Redis                       pages of each kind        beginning
//	LostOrders            closed epochs, log,    order_cancellations                 a closed epoch            the epoch is looked at again
//	                      charges
//
// The Replayer is no worker: it applies dead letters when an operator asks for it.
//
// Every worker is idempotent, takes what it can in one batch, acknowledges only what is committed, and costs a poison
// message only itself. Run loops it until its context ends; RunOnce is one turn, for tests.
package workers
