// Package workers is the asynchronous half: its workers drain the journal to SQL, ship, send mail, and repair orders after failures.
//
//	worker           reads                   writes                              bound                     if it dies
//	StockFlusher     journal, from SQL's     products.stock, stock_dedup_log,    FlushConfig.Batch         the next one continues from
//	                 offset                  orders (durability sql)             entries a transaction     SQL's offset, without applying
//	                                                                                                       an entry twice
//	OrderRelay       journal, group          topic of order events,              RelayConfig.Batch         its unacknowledged entries are
//	                 "relay", behind the     failed_orders                       entries a message         claimed and sent again
//	                 flusher; hot orders
//	OrderWriter      topic, group "orders"   orders, order_items, failed_orders  WriterConfig.Rows         the message is delivered again;
//	                                                                             rows a transaction        rows are written once
//	Shipper          topic, group            orders.ship_claimed_at, state,      CarrierLimiter: 10        the message is delivered again;
//	                 "shipping"              shipments, due_mails                calls at once, with       the carrier is idempotent by
//	                                                                             the rescuer's             order id
//	ShipRescuer      orders PAID or          the same                            RescueConfig.Orders an    the next one reads the same
//	                 SHIP_FAILED too long                                        iteration, the same       rows after their leases end
//	                                                                             CarrierLimiter
//	Mailer           topic, group "mail"     mails, sent_mails, due_mails,       MailConfig.Mails an       the message is delivered again;
//	                                         failed_orders                       iteration                 a mail may be sent twice
//	MailDispatcher   due_mails               the same, due_mails                 DispatchConfig.Mails      the mail is due again when its
//	                                                                             an iteration              lease ends; it may be sent twice
//	DeadLetterDrain  dead-letter topics of   failed_orders                       DrainConfig.Messages      the messages are delivered
//	                 all groups, group                                           an iteration              again; each is one dead letter
//	                 "dead-letters"
//
//	worker                reads                   writes                              bound                     if it dies
//	PaymentReconciler     orders PENDING for      Redis or SQL: settle, release;      recoveryBatch orders      the next iteration reads the
//	                      long, PaymentService    order_cancellations                 an iteration              same orders
//	CancellationFinisher  order_cancellations     refunds by PaymentService, journal  recoveryBatch             each step is idempotent and
//	                                              (restock), due_mails                an iteration              recorded: it is repeated
//	RefundRetrier         refunds that are not    refunds and charges, by             recoveryBatch             a refund is idempotent by its
//	                      confirmed               PaymentService                      an iteration              id: it is repeated
//	OrderRepairer         dedup log, hot orders   orders, failed_orders, due_mails,   RepairConfig.MaxPages     the next one scans from the
//	                      in Redis, orders        TTLs in Redis                       pages of each kind        beginning
//	LostOrders            closed epochs, dedup    order_cancellations                 a closed epoch            the epoch is scanned again
//	                      log, charges
//
// The Replayer is no worker: an operator starts it for a dead letter.
//
// Every worker is idempotent, takes its work in batches, acknowledges only what is committed, and makes a dead letter of a poison
// message without delaying the others. Run calls RunOnce until its context ends, with backoff after failures; RunOnce is one iteration
// and returns how much it did. A Run that ends releases what it received and did not finish.
package workers
