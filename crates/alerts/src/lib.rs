//! Alerts as the services of teams understand them, and their way there.
//!
//! ```text
//! Alert → Outgoing → messages (a file for each service) → Destination → HTTP or SMTP → DeliveryFailure, or none
//! ```
//!
//! Everything but `delivery` and `smtp` is pure. What a tenant can write (names of images, reasons, messages of scans) is cleaned
//! and escaped for each service where it enters a message; no service is trusted to do that.

mod alert;
mod alertmanager;
mod answer;
mod cloud_events;
mod delivery;
mod destination;
mod http_message;
mod mail;
mod mail_format;
mod message;
mod opsgenie;
mod pagerduty;
mod queue;
mod signature;
mod slack;
mod smtp;
mod teams;
mod text;

pub use alert::{Alert, AlertedWorkload, Outgoing};
pub use answer::{DeliveryFailure, FailureClass};
pub use delivery::deliver;
pub use destination::Destination;
pub use queue::{AlertQueue, Displaced, QueueStep};
