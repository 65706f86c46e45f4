//! Building the lists of strings that execve(2) takes.

use crate::sys::child::Strings;
use std::ffi::CString;

impl Strings {
    /// One list of these strings.
    pub fn new(owned: Vec<CString>) -> Strings {
        let mut list: Vec<_> = owned.iter().map(|text| text.as_ptr()).collect();
        list.push(std::ptr::null());
        Strings { _owned: owned, lists: vec![list] }
    }

    /// One list for each variant: the strings in `owned`, with the one at `index` replaced by the variant.
    pub fn with_variants(owned: Vec<CString>, index: usize, variants: Vec<CString>) -> Strings {
        let Strings { _owned: mut owned, lists } = Strings::new(owned);
        let base = lists.into_iter().next().unwrap_or_default();
        let variant = |text: &CString| {
            let mut list = base.clone();
            if let Some(place) = list.get_mut(index).filter(|place| !place.is_null()) {
                *place = text.as_ptr();
            }
            list
        };
        let lists = variants.iter().map(variant).collect();
        owned.extend(variants);
        Strings { _owned: owned, lists }
    }
}
