//! Addresses of other servers of the same log.

use core::net::IpAddr;

/// Tells why something is no address that commits are handed in at. Plain text stays on this machine, unless `is_plain`.
///
/// # Errors
/// What is wrong with it, to follow the address and `and`.
pub(crate) fn check_url(url: &str, is_plain: bool) -> Result<(), &'static str> {
    let Some((scheme, authority)) = url.split_once("://") else { return Err("should begin with https://") };
    let is_odd = |letter: char| letter.is_whitespace() || letter.is_control() || "/@?#".contains(letter);
    if authority.is_empty() || authority.contains(is_odd) {
        return Err("should be https://HOST:PORT and nothing else");
    }
    let bracketed = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(host, _)| host);
    let host = bracketed.unwrap_or_else(|| authority.split(':').next().unwrap_or_default());
    let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    match scheme {
        "https" => Ok(()),
        "http" if is_here || is_plain => Ok(()),
        "http" => Err("would be called in plain text over the network"),
        _ => Err("should begin with https://"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_on_this_machine() {
        for good in ["https://log-1.example:7400", "http://127.0.0.1:7400", "http://[::1]:7400", "http://localhost:1"] {
            assert_eq!(check_url(good, false), Ok(()), "{good}");
        }
        let bad =
            ["", "log.example:7400", "ftp://x", "https://", "https://a/b", "https://u@a", "https://a\nb", "http://a:1"];
        for bad in bad {
            assert!(check_url(bad, false).is_err(), "{bad:?}");
        }
        assert_eq!(check_url("http://10.0.0.7:7400", true), Ok(()));
    }
}
