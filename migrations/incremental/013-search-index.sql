-- A longer pending list moves more entries to the index at once: a document costs half as much.
alter index slack.message_search_document_idx reset (gin_pending_list_limit);
