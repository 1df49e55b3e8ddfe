//! Times on the command line, such as `10m`.

/// Reads a number of seconds, minutes, hours or days.
pub(crate) fn seconds(text: &str) -> Result<u32, String> {
    let rule = || "expected a time such as 90d, 12h, 30m or 45s".to_owned();
    let split = text.len().saturating_sub(1);
    let (number, unit) = text.split_at_checked(split).ok_or_else(rule)?;
    let each = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(rule()),
    };
    let number: u32 = number.parse().map_err(|_| rule())?;
    number
        .checked_mul(each)
        .filter(|all| *all > 0)
        .ok_or_else(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(seconds("90d"), Ok(7_776_000));
        assert_eq!(seconds("45s"), Ok(45));
        for wrong in ["", "5", "d", "0h", "99999999d", "5y", "5ü"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
