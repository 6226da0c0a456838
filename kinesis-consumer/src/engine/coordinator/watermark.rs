//! The job's watermark, as the coordinator works it out.

use tokio::time::Instant;

use super::Coordinator;
use crate::schema::Schema;

impl<S: Schema> Coordinator<S> {
    /// Works the watermark out where somebody waits for it, once all that was reported by now is taken in.
    pub(super) fn update_watermark_if_due(&mut self) {
        if self.is_watermark_due && self.inbox.is_empty() {
            self.update_watermark();
        }
    }

    fn update_watermark(&mut self) {
        self.is_watermark_due = false;
        let Some(watermark) = &self.watermark else { return };
        if self.barriers.are_out() {
            // What is reached behind one subtask's barrier and before another's would be in a checkpoint whose positions are
            // before it: the records between would be late to a job that is restored.
            return watermark.update_limit(self.streams.holds(), Instant::now());
        }
        if let Some(time) = watermark.update(self.streams.holds(), Instant::now()) {
            self.job.readers.board.reached(Some(time));
        }
    }
}
