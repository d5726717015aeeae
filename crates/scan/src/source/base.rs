//! Which of an image's layers are its base image's.

use super::{HistoryEntry, Image, SourceError};

/// The number of the base image's layers, by the history: an image repeats the steps of the one it was built on, and most
/// of those end with a command to run, which makes no layer. The last such step below a layer of the image's own is the
/// base's end.
pub(crate) fn guess(history: &[HistoryEntry]) -> Option<usize> {
    let own = history.iter().rposition(|step| !step.empty_layer)?;
    let below = history.get(..own)?;
    let end = below.iter().rposition(is_command)?;
    let layers = below.get(..=end)?.iter().filter(|step| !step.empty_layer).count();
    (layers > 0).then_some(layers)
}

/// Whether a step only sets the command to run. Docker's classic builder wrote such steps as a shell's comment.
fn is_command(step: &HistoryEntry) -> bool {
    let by = step.created_by.as_deref().unwrap_or_default();
    let by = by.strip_prefix("/bin/sh -c #(nop)").unwrap_or(by).trim_start();
    step.empty_layer && (by.starts_with("CMD") || by.starts_with("ENTRYPOINT"))
}

/// How many layers an image shares with the base it was built on: all of the base's.
///
/// # Errors
/// When it is not built on it.
pub fn shared(image: &Image, base: &Image) -> Result<usize, SourceError> {
    let same = image.layers.iter().zip(&base.layers).take_while(|(a, b)| a.diff_id == b.diff_id).count();
    if same == base.layers.len() {
        return Ok(same);
    }
    let cause = format!(
        "it is not built on {}: of its {} layers only the lowest {same} are the same",
        base.reference,
        base.layers.len()
    );
    Err(SourceError::bad(&image.reference, cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_ends_with_its_command() {
        // `+` makes a layer.
        let check = |steps: &[&str], expected: Option<usize>| {
            let step = |text: &&str| HistoryEntry {
                created_by: Some(text.trim_start_matches('+').to_owned()),
                empty_layer: !text.starts_with('+'),
            };
            let history: Vec<HistoryEntry> = steps.iter().map(step).collect();
            assert_eq!(guess(&history), expected, "{steps:?}");
        };
        check(&["+ADD rootfs", "CMD [\"bash\"]"], None);
        check(&["+ADD rootfs", "CMD [\"bash\"]", "+RUN x", "CMD [\"x\"]"], Some(1));
        check(&["+ADD rootfs", "/bin/sh -c #(nop)  CMD [\"bash\"]", "+RUN a", "CMD [\"python\"]", "+COPY b"], Some(2));
        check(&["+ADD rootfs", "+RUN x", "CMD [\"x\"]"], None);
        check(&["CMD x", "+ADD rootfs"], None);
        check(&[], None);
    }
}
