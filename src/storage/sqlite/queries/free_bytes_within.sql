SELECT freelist.freelist_count * page.page_size
FROM pragma_freelist_count AS freelist, pragma_page_size AS page
